"""The point that dipoles are measured from."""

from ase.data import atomic_masses
from jaxtyping import Float
from torch import Tensor, nn

from equipot.batch import AtomicBatch, readable
from equipot.potential.per_element import PerElement


class CenteredPositions(nn.Module):
    """Positions relative to the centre of mass of their molecule, Å, by the standard atomic weights."""

    def __init__(self, elements: tuple[int, ...]) -> None:
        super().__init__()
        self.masses = PerElement([atomic_masses[z] for z in elements])

    def forward(self, batch: AtomicBatch) -> Float[Tensor, "atoms 3"]:
        """In float64, as the positions."""
        masses = self.masses(batch.species)[:, None]
        center = batch.sum_over_systems(masses * batch.positions) / batch.sum_over_systems(masses)
        return batch.positions - center[batch.system]


def refuse_periodic(batch: AtomicBatch, what: str, fix: str) -> None:
    """Charge times position has no meaning in a crystal: say so instead of giving a number."""
    if readable(batch.pbc) and bool(batch.pbc.any()):
        raise ValueError(f"{what} is defined by positions and does not exist in a periodic system. {fix}")
