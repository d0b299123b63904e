"""Physical properties: labels read from a file and predictions of a model are one type."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Properties:
    """`None` means absent: not labelled, or not asked for. It never means zero.

    In the labels of a batch, NaN marks the systems (or atoms) that carry no such label;
    the loss and the metrics leave them out of numerator and count. Files with NaN labels are
    refused by the reader, so that NaN has this one meaning.
    """

    energy: Float[Tensor, " systems"] | None = None  # eV
    forces: Float[Tensor, "atoms 3"] | None = None  # eV/Å, −∂E/∂r
    stress: Float[Tensor, "systems 3 3"] | None = None  # eV/Å³, (1/V) ∂E/∂ε
    charges: Float[Tensor, " atoms"] | None = None  # e
    dipole: Float[Tensor, "systems 3"] | None = None  # e·Å
    born_charges: Float[Tensor, "atoms 3 3"] | None = (
        None  # e, Z*[i, a, b] = ∂M_a/∂r_ib: the dipole comes first
    )
    polarizability: Float[Tensor, "systems 3 3"] | None = None  # Å³
    atomic_energies: Float[Tensor, " atoms"] | None = None  # eV
    virials: Float[Tensor, "atoms 3 3"] | None = None  # eV, of each atom; their sum is −V · stress
    tensors: Mapping[str, Tensor] = field(default_factory=dict)  # targets declared by name

    def items(self) -> list[tuple[str, Tensor]]:
        """Name and tensor of everything present, the declared tensors by their own names."""
        own = [(f.name, getattr(self, f.name)) for f in fields(self) if f.name != "tensors"]
        return [(n, v) for n, v in own if v is not None] + list(self.tensors.items())

    def get(self, name: str) -> Tensor | None:
        """A property or a declared tensor by name; None when absent."""
        return dict(self.items()).get(name)

    def to(self, device: torch.device | str) -> "Properties":
        """The properties on another device."""
        return from_items({n: v.to(device) for n, v in self.items()})

    def detach(self) -> "Properties":
        """The same numbers without their graph."""
        return from_items({n: v.detach() for n, v in self.items()})


FIELDS = tuple(f.name for f in fields(Properties) if f.name != "tensors")


def from_items(values: Mapping[str, Tensor]) -> Properties:
    """Properties from names: the known ones become fields, all others declared tensors."""
    known = {n: v for n, v in values.items() if n in FIELDS}
    return Properties(**known, tensors={n: v for n, v in values.items() if n not in FIELDS})
