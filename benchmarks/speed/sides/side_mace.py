"""MACE, mace-torch 0.3.16: `eager` as its calculator runs, or `torchscript` as it is deployed."""

from typing import Any

import numpy as np
import torch
from e3nn import o3
from e3nn.util import jit
from mace import data, modules, tools
from mace.tools import torch_geometric
from protocol import CUTOFF, ELEMENTS, MEAN_NEIGHBORS, Side, loss, serve


class Mace(Side):
    """Two layers of 128x0e + 128x1o, correlation three."""

    def __init__(self, model: str, mode: str, case: str) -> None:
        block = modules.interaction_classes["RealAgnosticResidualInteractionBlock"]
        self.raw = self.model = modules.ScaleShiftMACE(
            **{"r_max": CUTOFF, "num_bessel": 8, "num_polynomial_cutoff": 5, "max_ell": 3, "correlation": 3},
            **{"interaction_cls": block, "interaction_cls_first": block, "num_interactions": 2},
            **{"num_elements": len(ELEMENTS), "hidden_irreps": o3.Irreps("128x0e + 128x1o")},
            **{"MLP_irreps": o3.Irreps("16x0e"), "gate": torch.nn.functional.silu},
            **{"atomic_energies": np.zeros(len(ELEMENTS)), "avg_num_neighbors": MEAN_NEIGHBORS},
            **{"atomic_numbers": list(ELEMENTS), "radial_type": "bessel", "radial_MLP": [64, 64, 64]},
            **{"atomic_inter_scale": 1.0, "atomic_inter_shift": 0.0},
        )
        self.parameters = sum(p.numel() for p in self.raw.parameters())
        if case == "train":
            self.optimizer = torch.optim.Adam(self.raw.parameters(), lr=1e-3)
        else:
            self.raw.requires_grad_(False)
        if mode == "torchscript":
            self.model = jit.compile(self.raw)

    def prepare(self, frames: list) -> Any:
        table = tools.AtomicNumberTable(list(ELEMENTS))
        graphs = []
        for atoms in frames:
            atoms = atoms.copy()
            atoms.calc = None
            graphs.append(
                data.AtomicData.from_config(data.config_from_atoms(atoms), z_table=table, cutoff=CUTOFF)
            )
        loader = torch_geometric.dataloader.DataLoader(dataset=graphs, batch_size=len(graphs), shuffle=False)
        return {k: v for k, v in next(iter(loader)).to_dict().items() if v is not None}

    def edges(self, batch: Any) -> int:
        return batch["edge_index"].shape[1]

    def evaluate(self, batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
        out = self.model(dict(batch), training=False, compute_force=True)
        return out["energy"].detach(), out["forces"].detach()

    def train_step(self, batch: Any, energy: torch.Tensor, forces: torch.Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        out = self.model(dict(batch), training=True, compute_force=True)
        loss(out["energy"], out["forces"], (energy, forces)).backward()
        self.optimizer.step()


if __name__ == "__main__":
    torch.set_default_dtype(torch.float32)
    serve(Mace)
