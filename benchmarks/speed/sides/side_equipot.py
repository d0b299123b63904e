"""equipot, with the hyper-parameters of the peer: `eager` as trained, `frozen` as its calculators use it."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from protocol import CUTOFF, ELEMENTS, MEAN_NEIGHBORS, Side, loss, serve

from equipot.config import parse
from equipot.data.collate import batch_of
from equipot.data.frame import Frame
from equipot.potential import Potential, PotentialConfig, Replayed, frozen
from equipot.statistics import Statistics

MODELS: dict[str, dict[str, Any]] = {
    "painn": {
        **{"channels": 128, "num_layers": 3, "num_radial": 20, "radial": "gaussian", "envelope": "cosine"},
    },
    "schnet": {"channels": 128, "num_layers": 6, "num_radial": 20},
    "nequip": {
        **{"channels": 32, "l_max": 2, "parity": True, "num_layers": 4, "num_radial": 8},
        **{"radial_hidden": (64,), "trainable_radial": False, "envelope_power": 6},
        **{"self_connection": "not first"},
    },
    "allegro": {
        **{"channels": 64, "l_max": 2, "parity": True, "num_layers": 2, "num_radial": 8},
        **{"form": "current", "two_body": (64, 64), "latent": (64, 64), "readout_hidden": (64,)},
    },
    "mace": {
        **{"channels": 128, "l_max": 3, "l_hidden": 1, "correlation": 3, "num_layers": 2, "num_radial": 8},
        **{"radial_hidden": (64, 64, 64), "envelope_power": 5, "readout_hidden": 16},
    },
    "ictp": {
        **{"channels": 128, "l_max": 3, "l_hidden": 1, "correlation": 3, "num_layers": 2, "num_radial": 8},
        **{"radial_hidden": (64, 64, 64), "envelope_power": 5, "readout_hidden": 16},
    },
    "segnn": {"channels": 128, "l_features": 2, "l_attributes": 3, "num_layers": 7},
    "tensornet": {"channels": 128, "num_layers": 2, "num_radial": 32},
}


class Equipot(Side):
    """A potential of this package."""

    def __init__(self, model: str, mode: str, case: str) -> None:
        config = parse(
            PotentialConfig, {"model": {"name": model, "cutoff": CUTOFF, **MODELS[model]}}, "benchmark"
        )
        known = Statistics(
            elements=ELEMENTS, mean_neighbors=MEAN_NEIGHBORS, reference_energies=(0.0,) * len(ELEMENTS)
        )
        self.potential = Potential(config, known)
        self.parameters = sum(p.numel() for p in self.potential.parameters())
        self.mode = mode
        if case == "train":
            self.optimizer = torch.optim.Adam(self.potential.parameters(), lr=1e-3)
        else:
            self._ready()

    def _ready(self) -> None:
        self.model: Any = self.potential.eval() if self.mode == "eager" else frozen(self.potential)
        if self.mode == "calculator":
            self.model = Replayed(self.model)

    def prepare(self, frames: list) -> Any:
        return batch_of([Frame.from_atoms(a) for a in frames], ELEMENTS, CUTOFF)

    def edges(self, batch: Any) -> int:
        return batch.senders.shape[0]

    def evaluate(self, batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
        out = self.model(batch, forces=True)
        return out.energy, out.forces

    def train_step(self, batch: Any, energy: torch.Tensor, forces: torch.Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        out = self.potential(batch, forces=True, create_graph=True)
        # as our training does: no gradient by positions
        loss(out.energy, out.forces, (energy, forces)).backward(inputs=list(self.potential.parameters()))
        self.optimizer.step()

    def weights(self, path: Path, write: bool) -> None:
        """Take over what SchNetPack wrote: the same function, so the same energy."""
        assert not write
        ours = dict(self.potential.named_parameters())
        theirs = {n: torch.from_numpy(a) for n, a in np.load(path, allow_pickle=False).items()}
        with torch.no_grad():
            for name, value in _renamed(theirs, MODELS["painn"]["num_layers"]).items():
                ours.pop(name).copy_(value)
        assert not ours, f"weights that SchNetPack does not have: {sorted(ours)}"
        self._ready()


def _renamed(theirs: dict[str, torch.Tensor], num_layers: int) -> dict[str, torch.Tensor]:
    r = "representation."
    out = {"model.embedding.table.weight": theirs[f"{r}embedding.weight"]}
    filters = {k: theirs[f"{r}filter_net.{k}"].chunk(num_layers) for k in ("weight", "bias")}
    for layer in range(num_layers):
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


if __name__ == "__main__":
    serve(Equipot)
