"""Every architecture of the union, small, with heads for everything."""

from functools import cache
from typing import Any, get_args

import torch

from equipot.config import parse
from equipot.models import ModelConfig
from equipot.potential import Potential, PotentialConfig
from equipot.testing import crystal, far_atoms, molecule, one_atom, random_potential, slab, thin_cell

ELEMENTS = (1, 6, 8)
CUTOFF = 3.0
SMALL = {"channels": 8, "num_layers": 2, "num_radial": 6, "cutoff": CUTOFF}
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
    """Of a model of eight channels."""
    kind = next(k for k in ARCHITECTURES if k.model_fields["name"].default == architecture)
    sizes = {key: value for key, value in SMALL.items() if key in kind.model_fields}
    chosen = {"basis": basis} if architecture in BASES else {}
    values = {"model": {"name": architecture, **sizes, **chosen}, "targets": TARGETS[targets]}
    return parse(PotentialConfig, values, "contract")


@cache
def small(architecture: str, targets: str, dtype: torch.dtype, basis: str = "auto") -> Potential:
    """A model of eight channels with random weights."""
    return random_potential(configuration(architecture, targets, basis), ELEMENTS, dtype=dtype)
