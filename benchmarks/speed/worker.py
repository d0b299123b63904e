"""One side of a comparison: prepares its model, then times a block of evaluations for every line it is sent.

Speaks JSON lines. Needs only what its own environment has, so that each code runs as it would alone.
"""

import json
import os
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch
from ase.io import read

STRUCTURES = Path(__file__).resolve().parent / "structures"
CUTOFF, CHANNELS, LAYERS, RADIAL, ELEMENTS = 5.0, 128, 3, 20, (1, 6, 8)


class Schnetpack:
    """SchNetPack's PaiNN, eager, as its configuration builds it."""

    def __init__(self) -> None:
        import schnetpack as spk
        import schnetpack.properties as keys
        import schnetpack.transform as transform

        torch.manual_seed(0)
        representation = spk.representation.PaiNN(
            n_atom_basis=CHANNELS,
            n_interactions=LAYERS,
            radial_basis=spk.nn.GaussianRBF(n_rbf=RADIAL, cutoff=CUTOFF),
            cutoff_fn=spk.nn.CosineCutoff(CUTOFF),
        )
        heads = [
            spk.atomistic.Atomwise(n_in=CHANNELS, output_key="energy"),
            spk.atomistic.Forces(energy_key="energy", force_key="forces"),
        ]
        self.model = spk.model.NeuralNetworkPotential(
            representation, input_modules=[spk.atomistic.PairwiseDistances()], output_modules=heads
        )
        self.model.eval()
        self.keys = keys
        self.convert = spk.interfaces.AtomsConverter(
            transform.MatScipyNeighborList(cutoff=CUTOFF), dtype=torch.float32, device="cpu"
        )

    def prepare(self, atoms):
        return self.convert(atoms)

    def edges(self, batch) -> int:
        return int(batch[self.keys.idx_i].shape[0])

    def evaluate(self, batch):
        batch = dict(batch)
        batch[self.keys.R] = batch[self.keys.R].detach().clone()
        out = self.model(batch)
        return out["energy"].detach(), out["forces"].detach()

    def weights(self, path: str) -> None:
        np.savez(path, **{n: p.detach().numpy() for n, p in self.model.named_parameters()})


class Equipot:
    """equipot's PaiNN with the same hyper-parameters."""

    def __init__(self) -> None:
        from equipot.potential import Potential, PotentialConfig
        from equipot.statistics import Statistics

        torch.manual_seed(0)
        model = {
            **{"name": "painn", "channels": CHANNELS, "num_layers": LAYERS, "num_radial": RADIAL},
            **{"cutoff": CUTOFF, "radial": "gaussian", "envelope": "cosine"},
        }
        statistics = Statistics(
            elements=ELEMENTS, mean_neighbors=1.0, reference_energies=(0.0,) * len(ELEMENTS)
        )
        self.model = Potential(PotentialConfig.model_validate({"model": model}), statistics).eval()

    def prepare(self, atoms):
        from equipot.data.collate import batch_of
        from equipot.data.frame import Frame

        return batch_of([Frame.from_atoms(atoms)], ELEMENTS, CUTOFF)

    def edges(self, batch) -> int:
        return batch.senders.shape[0]

    def evaluate(self, batch):
        out = self.model(batch, forces=True)
        return out.energy, out.forces

    def weights(self, path: str) -> None:
        """Take over the weights that SchNetPack wrote: the same function, so the same energy."""
        theirs = {n: torch.from_numpy(a) for n, a in np.load(path, allow_pickle=False).items()}
        ours = dict(self.model.named_parameters())
        with torch.no_grad():
            for name, value in _renamed(theirs).items():
                ours.pop(name).copy_(value)
        assert not ours, f"weights that SchNetPack does not have: {sorted(ours)}"


def _renamed(theirs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    r = "representation."
    out = {"model.embedding.table.weight": theirs[f"{r}embedding.weight"]}
    filters = {k: theirs[f"{r}filter_net.{k}"].chunk(LAYERS) for k in ("weight", "bias")}
    for layer in range(LAYERS):
        for k in ("weight", "bias"):
            out[f"model.messages.{layer}.filter.{k}"] = filters[k][layer]
            for mine, theirs_index in ((0, 0), (2, 1)):
                context = f"{r}interactions.{layer}.interatomic_context_net.{theirs_index}.{k}"
                out[f"model.messages.{layer}.phi.{mine}.{k}"] = theirs[context]
                mixing = f"{r}mixing.{layer}.intraatomic_context_net.{theirs_index}.{k}"
                out[f"model.updates.{layer}.attend.{mine}.{k}"] = theirs[mixing]
        # their first half enters the norm, ours the second
        v, w = theirs[f"{r}mixing.{layer}.mu_channel_mix.weight"].chunk(2)
        out[f"model.updates.{layer}.mix.weight"] = torch.cat([w, v])
    for mine, index in ((0, 0), (2, 1)):
        for k in ("weight", "bias"):
            out[f"heads.energy.readout.{mine}.{k}"] = theirs[f"output_modules.0.outnet.{index}.{k}"]
    return out


def main() -> None:
    side = {"schnetpack": Schnetpack, "equipot": Equipot}[sys.argv[1]]()
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    batches = {n: side.prepare(read(STRUCTURES / f"{n}.extxyz")) for n in ("aspirin", "water192")}
    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "weights":
            side.weights(order["path"])
            answer = {}
        elif order["do"] == "evaluate":
            energy, forces = side.evaluate(batches[order["case"]])
            answer = {
                "energy": float(energy.reshape(-1)[0]),
                "forces": forces.flatten().tolist(),
                "edges": side.edges(batches[order["case"]]),
                "parameters": sum(p.numel() for p in side.model.parameters()),
            }
        else:
            times, cpu = [], time.process_time()
            for _ in range(order["repetitions"]):
                start = time.perf_counter()
                side.evaluate(batches[order["case"]])
                times.append(time.perf_counter() - start)
            answer = {
                "milliseconds": 1e3 * statistics.median(times),
                "fastest": 1e3 * min(times),
                "cpu_milliseconds": 1e3 * (time.process_time() - cpu) / order["repetitions"],
            }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
