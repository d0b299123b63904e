"""TorchMD-Net 3.1.0: TensorNet, `eager`. It makes its neighbor list inside the model, so its times contain that."""

from typing import Any

import numpy as np
import torch
from protocol import CUTOFF, Side, loss, serve, structures
from torchmdnet.models.model import create_model


class Torchmd(Side):
    """Two layers of 128 channels, O(3)."""

    def __init__(self, model: str, mode: str, case: str) -> None:
        first = structures(case)[0]
        box = np.asarray(first.cell).tolist() if first.pbc.all() else None
        self.model = create_model(
            {
                **{"model": "tensornet", "equivariance_invariance_group": "O(3)", "precision": 32},
                **{"embedding_dimension": 128, "num_layers": 2, "num_rbf": 32, "rbf_type": "expnorm"},
                **{"trainable_rbf": False, "activation": "silu", "cutoff_lower": 0.0, "cutoff_upper": CUTOFF},
                **{"max_z": 100, "max_num_neighbors": 32 if box is None else 96, "box_vecs": box},
                **{"derivative": True, "atom_filter": -1, "prior_model": None, "output_model": "Scalar"},
                **{"reduce_op": "add", "static_shapes": False},
            }
        )
        self.parameters = sum(p.numel() for p in self.model.parameters())
        self.model.train(case == "train")
        if case == "train":
            self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)
        else:
            self.model.requires_grad_(False)

    def prepare(self, frames: list) -> Any:
        numbers = torch.tensor(np.concatenate([a.numbers for a in frames]))
        positions = torch.tensor(np.concatenate([a.positions for a in frames]), dtype=torch.float32)
        batch = torch.tensor(np.repeat(np.arange(len(frames)), [len(a) for a in frames]))
        return numbers, positions, batch

    def edges(self, batch: Any) -> int:
        """Without those of an atom to itself, which it adds."""
        with torch.no_grad():
            pairs = self.model.representation_model.distance(batch[1], batch[2], None)[0]
        return int((pairs[0] != pairs[1]).sum())

    def evaluate(self, batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
        numbers, positions, index = batch
        energy, forces = self.model(numbers, positions.clone(), index)
        return energy.detach(), forces.detach()

    def train_step(self, batch: Any, energy: torch.Tensor, forces: torch.Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        numbers, positions, index = batch
        loss(*self.model(numbers, positions.clone(), index), (energy, forces)).backward()
        self.optimizer.step()


if __name__ == "__main__":
    serve(Torchmd)
