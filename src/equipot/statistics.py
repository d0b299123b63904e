"""What is measured on the training data, stored in the model file, and never typed into a configuration."""

from typing import Literal

from equipot.config import Config


class TargetStatistics(Config):
    """Baseline and scale of one tensorial target.

    A label of a system is modelled as Σ_i (baseline[z_i] + scale[l] · model_i), a label of an atom as one such
    term. Scales are uncentred root mean squares, one per irrep (of label/√N for a system of N atoms, since sums of
    N independent terms grow like √N); the baseline belongs to the invariant part alone, because the isotropic mean
    of any other irrep is zero and a shift of it would break equivariance.
    """

    baseline: tuple[float, ...]  # one number per element, in the target's unit; zeros where l > 0 only
    scales: tuple[float, ...]  # one number per irrep of the target


class Statistics(Config):
    """Numbers that a model takes from its training set."""

    elements: tuple[int, ...]  # atomic numbers, ascending: the meaning of `species`
    mean_neighbors: float  # over atoms that have any, at the model's cutoff
    reference_energies: tuple[float, ...]  # eV, per element
    reference_source: Literal["isolated atoms", "least squares", "given", "none"] = "none"
    reference_fitted: tuple[int, ...] = ()  # atomic numbers whose energy was fitted to the compositions
    reference_condition: float | None = 1.0  # condition number of that fit; none: infinite, it is not unique
    energy_shift: float = (
        0.0  # eV per atom: mean energy that the reference energies leave, part of every atom
    )
    energy_scale: float = 1.0  # eV/Å: RMS force component, multiplies the per-atom model energy (length 1 Å)
    targets: dict[str, TargetStatistics] = {}
    conditions: dict[
        str, tuple[float, ...]
    ] = {}  # charges or multiplicities that occur, ascending, where read
    inputs: dict[str, float] = {}  # root mean square length of each covariant input of the atoms, in its unit

    @property
    def constant_energies(self) -> tuple[float, ...]:
        """What an atom of each element has of itself, eV: its reference energy and the mean cohesion."""
        return tuple(energy + self.energy_shift for energy in self.reference_energies)
