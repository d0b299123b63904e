"""SchNetPack 2.2.0: PaiNN and SchNet, `eager`, or `torchscript` as its spkdeploy command makes."""

from pathlib import Path
from typing import Any

import numpy as np
import schnetpack as spk
import schnetpack.properties as keys
import schnetpack.transform as transform
import torch
from protocol import CUTOFF, Side, loss, serve

MODELS = {"painn": (spk.representation.PaiNN, 3), "schnet": (spk.representation.SchNet, 6)}
CHANNELS, RADIAL = 128, 20


class Schnetpack(Side):
    """As its configuration builds it."""

    def __init__(self, model: str, mode: str, case: str) -> None:
        make, layers = MODELS[model]
        representation = make(
            n_atom_basis=CHANNELS,
            n_interactions=layers,
            radial_basis=spk.nn.GaussianRBF(n_rbf=RADIAL, cutoff=CUTOFF),
            cutoff_fn=spk.nn.CosineCutoff(CUTOFF),
        )
        heads = [
            spk.atomistic.Atomwise(n_in=CHANNELS, output_key="energy"),
            spk.atomistic.Forces(energy_key="energy", force_key="forces"),
        ]
        self.raw = self.model = spk.model.NeuralNetworkPotential(
            representation, input_modules=[spk.atomistic.PairwiseDistances()], output_modules=heads
        )
        self.parameters = sum(p.numel() for p in self.raw.parameters())
        if case == "train":
            self.optimizer = torch.optim.Adam(self.raw.parameters(), lr=1e-3)
        else:
            self.raw.eval()
        if mode == "torchscript":
            self.model = torch.jit.script(self.raw)
        self.convert = spk.interfaces.AtomsConverter(
            transform.MatScipyNeighborList(cutoff=CUTOFF), dtype=torch.float32, device="cpu"
        )

    def prepare(self, frames: list) -> Any:
        return self.convert(frames)

    def edges(self, batch: Any) -> int:
        return int(batch[keys.idx_i].shape[0])

    def _outputs(self, batch: Any) -> Any:
        return self.model({**batch, keys.R: batch[keys.R].detach().clone()})

    def evaluate(self, batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
        out = self._outputs(batch)
        return out["energy"].detach(), out["forces"].detach()

    def train_step(self, batch: Any, energy: torch.Tensor, forces: torch.Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        out = self._outputs(batch)
        loss(out["energy"], out["forces"], (energy, forces)).backward()
        self.optimizer.step()

    def weights(self, path: Path, write: bool) -> None:
        assert write
        np.savez(path, **{n: p.detach().numpy() for n, p in self.raw.named_parameters()})


if __name__ == "__main__":
    serve(Schnetpack)
