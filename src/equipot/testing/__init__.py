"""The numerical contract: what every model must fulfil, as functions that return numbers.

Each function takes a `Potential` and a structure and returns residuals, relative to the largest component of
the quantity. In float64 the symmetries hold to 1e-10: round-off of 1e-16 times the few hundred operations in
a row and the cancellation in sums. In float32 they hold to 1e-4 by the same count. What is compared with
finite differences is limited by those, 1e-7.
"""

from equipot.testing.compare import Residuals, compare, worst
from equipot.testing.conservation import (
    acoustic_sum_error,
    net_force,
    net_torque,
    total_charge_error,
)
from equipot.testing.derivatives import (
    force_loss_gradient,
    force_loss_gradients,
    forces_by_differences,
    hessian,
    second_derivatives,
    stress_by_differences,
    virials_sum,
)
from equipot.testing.evaluation import as_frame, predict, usual_state
from equipot.testing.locality import (
    cutoff_jump,
    fragments_add,
    handedness,
    isolated_atoms,
    isolated_energies,
    supercell,
)
from equipot.testing.random_potential import random_potential
from equipot.testing.symmetry import (
    batch_composition,
    edge_order,
    memory_layout,
    periodic_images,
    permutation,
    reflection,
    rotation,
    translation,
)
from equipot.testing.systems import chain, crystal, far_atoms, molecule, one_atom, slab, thin_cell
from equipot.testing.transformations import representation, transformed

__all__ = [
    "Residuals",
    "acoustic_sum_error",
    "as_frame",
    "batch_composition",
    "chain",
    "compare",
    "crystal",
    "cutoff_jump",
    "edge_order",
    "far_atoms",
    "force_loss_gradient",
    "force_loss_gradients",
    "forces_by_differences",
    "fragments_add",
    "handedness",
    "hessian",
    "isolated_atoms",
    "isolated_energies",
    "memory_layout",
    "molecule",
    "net_force",
    "net_torque",
    "one_atom",
    "periodic_images",
    "permutation",
    "predict",
    "random_potential",
    "reflection",
    "representation",
    "rotation",
    "second_derivatives",
    "slab",
    "stress_by_differences",
    "supercell",
    "thin_cell",
    "total_charge_error",
    "transformed",
    "translation",
    "usual_state",
    "virials_sum",
    "worst",
]
