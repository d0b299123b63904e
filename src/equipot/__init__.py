"""equipot: equivariant potentials, from a file of quantum chemistry to a spectrum."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from equipot.api import (
        Born,
        Dynamics,
        Model,
        ModelTable,
        compare,
        export,
        harmonic,
        inspect,
        load,
        md,
        phonons,
        read,
        relax,
        spectrum,
        spectrum_beside,
        train,
    )

__version__ = "0.1.0"
__all__ = [
    "Born",
    "Dynamics",
    "Model",
    "ModelTable",
    "compare",
    "export",
    "harmonic",
    "inspect",
    "load",
    "md",
    "phonons",
    "read",
    "relax",
    "spectrum",
    "spectrum_beside",
    "train",
]


def __getattr__(name: str) -> Any:
    """The verbs and nouns of `equipot.api`, loaded when first used: a submodule alone does not need them."""
    if name in __all__:
        return getattr(import_module("equipot.api"), name)
    raise AttributeError(f"module 'equipot' has no attribute {name!r}")
