"""Every architecture of the union, small, with heads for everything."""

from functools import cache
from typing import Any, get_args

import torch

from equipot.config import parse
from equipot.models import ModelConfig
from equipot.potential import Potential, PotentialConfig, frozen
from equipot.testing import crystal, far_atoms, molecule, one_atom, random_potential, slab, thin_cell

ELEMENTS = (1, 6, 8)
CUTOFF = 3.0
SMALL = {"channels": 16, "num_layers": 2, "num_radial": 6, "cutoff": CUTOFF}
ARCHITECTURES = get_args(get_args(ModelConfig)[0])

SYSTEMS = {
    "molecule": molecule(ELEMENTS),
    "slab": slab(ELEMENTS),
    "bulk": crystal(ELEMENTS),
    "one atom": one_atom(6),
    "two far atoms": far_atoms(ELEMENTS, CUTOFF),
    "thin cell": thin_cell(ELEMENTS),
}

TENSORS = {
    f"order{order}_{per}": {"order": order, "per": per, "rank": 3}
    for order in range(4)
    for per in ("atom", "system")
}
TENSORS |= {
    f"irreps_{per}": {"irreps": "0e + 2x1o + 2e + 1e + 0o + 3o", "per": per, "rank": 3}
    for per in ("atom", "system")
}
TENSORS |= {
    "axial": {"irreps": "1e", "rank": 3},
    "symmetric": {"order": 2, "symmetric": True, "rank": 3},
    "octupole": {"order": 3, "symmetric": True, "traceless": True, "rank": 3},
}

TARGETS: dict[str, dict[str, Any]] = {
    "everything": {
        "charges": {},
        "dipole": {},
        "born_charges": {},
        "polarizability": {},
        "tensors": TENSORS,
    },
    "at positions": {
        "dipole": {"form": "charges", "origin": "coordinates"},
        "polarizability": {"form": "positions"},
    },
    "extensive": {"dipole": {"form": "atomic"}, "polarizability": {}, "tensors": TENSORS},
    "scalars only": {},
}


BASES = {
    kind.model_fields["name"].default: [
        b for b in get_args(kind.model_fields["basis"].annotation) if b != "auto"
    ]
    for kind in ARCHITECTURES
    if "basis" in kind.model_fields
}


def configuration(architecture: str, targets: str, basis: str = "auto") -> PotentialConfig:
    """Of a small model."""
    kind = next(k for k in ARCHITECTURES if k.model_fields["name"].default == architecture)
    sizes = {key: value for key, value in SMALL.items() if key in kind.model_fields}
    chosen = {"basis": basis} if architecture in BASES else {}
    values = {"model": {"name": architecture, **sizes, **chosen}, "targets": TARGETS[targets]}
    return parse(PotentialConfig, values, "contract")


@cache
def small(architecture: str, targets: str, dtype: torch.dtype, basis: str = "auto") -> Potential:
    """A small model with random weights; its channels are enough for compiled programs."""
    return random_potential(configuration(architecture, targets, basis), ELEMENTS, dtype=dtype)


@cache
def fast(architecture: str, targets: str, dtype: torch.dtype) -> Potential:
    """The same as calculators evaluate it: radial networks from tables, in double precision as good as it gets."""
    return frozen(small(architecture, targets, dtype), 1e-9 if dtype == torch.float64 else None)
