"""What a potential predicts: targets as data, each with the options of its head."""

import re
from typing import Literal

from pydantic import Field, PositiveInt, field_validator, model_validator

from equipot.config import Config
from equipot.properties import FIELDS
from equipot.tensor.irreps import SCALAR, VECTOR, Irrep, Irreps

NAME = re.compile(r"[a-z][a-z0-9_]*")
AXIAL = Irrep(1, 1)
MATRIX = (SCALAR, AXIAL, Irrep.natural(2))  # parts of a tensor of order two
#: targets with a section of their own, beside the energy
NAMED = ("charges", "dipole", "born_charges", "polarizability")


class EnergyTarget(Config):
    """Potential energy, and which of its derivatives are trained."""

    forces: bool = True
    stress: bool | Literal["auto"] = "auto"  # auto: when the training file has stresses


class ChargesTarget(Config):
    """Partial charges that are labelled, e. Their sum is the total charge of the system."""


class DipoleTarget(Config):
    """Dipole moment, e·Å: charges at the atoms and a dipole on each.

    `atomic` leaves the charges out, as a periodic system demands.
    """

    form: Literal["charges+atomic", "charges", "atomic"] = "charges+atomic"
    origin: Literal["center of mass", "coordinates"] = "center of mass"


class PolarizabilityTarget(Config):
    """Polarizability, Å³: isotropic atomic parts and symmetric traceless ones.

    `irreps`: Σ_i α₀ 1 + Σ_m c_m B_m, read from features of degree two.
    `vectors`: Σ_i α₀ 1 + ν_i ⊗ w_i + w_i ⊗ ν_i with two learned vectors, free of any origin.
    `positions`: w_i is the position relative to the centre of mass (PaiNN paper, Eq. 12); molecules only.
    """

    form: Literal["auto", "irreps", "vectors", "positions"] = (
        "auto"  # auto: irreps where features have 2e, else vectors
    )


class BornChargesTarget(Config):
    """Born effective charges, e: Z*[i, a, b] = ∂M_a/∂r_ib of every atom, the index of the dipole first.

    Not symmetric in general. Their sum over the atoms is the total charge times one (acoustic sum rule).
    """


class TensorTarget(Config):
    """Any other tensor, of each atom or of the whole system.

    Either `order` M, a Cartesian tensor (3, … 3) as Σ_k λ_k ν_k1 ⊗ … ⊗ ν_kM and what features of degree M add, or
    `irreps` such as "0e + 2e", whose spherical components are predicted one after another.
    """

    order: int | None = Field(default=None, ge=0, le=4)
    irreps: str | None = None
    rank: PositiveInt = 8  # terms of a sum of products of vectors
    readout: Literal["gated", "linear"] = (
        "gated"  # of tensors that the features have; linear as in version 0.1
    )
    per: Literal["atom", "system"] = "system"
    symmetric: bool = False
    traceless: bool = False
    unit: str = ""  # as in the file: equipot does not convert what it does not know

    @model_validator(mode="after")
    def _one_kind(self) -> "TensorTarget":
        if (self.order is None) == (self.irreps is None):
            raise ValueError(
                "give either order (a Cartesian tensor) or irreps (spherical components), not both"
            )
        if self.traceless and not self.symmetric:
            raise ValueError("traceless tensors are built from symmetric ones: set symmetric=true as well")
        return self

    def direct_irreps(self) -> tuple[Irrep, ...]:
        """Parts of a Cartesian tensor that features may hold: of degree M; of a matrix also trace and axial vector."""
        if self.order is None or self.order < 2:
            return ()
        if self.order > 2:
            return (Irrep.natural(self.order),)
        left_out = [SCALAR] * self.traceless + [AXIAL] * self.symmetric
        return tuple(irrep for irrep in MATRIX if irrep not in left_out)


class TargetsConfig(Config):
    """All targets of one potential; it trains on whatever subset of them a frame is labelled with."""

    energy: EnergyTarget | None = EnergyTarget()
    charges: ChargesTarget | None = None
    dipole: DipoleTarget | None = None
    born_charges: BornChargesTarget | None = None
    polarizability: PolarizabilityTarget | None = None
    tensors: dict[str, TensorTarget] = {}
    total_charge: float | Literal["frame"] = "frame"  # e; `frame`: every frame must say its own

    @field_validator("tensors")
    @classmethod
    def _names(cls, tensors: dict[str, TensorTarget]) -> dict[str, TensorTarget]:
        for name in tensors:
            if name in FIELDS or not NAME.fullmatch(name):
                raise ValueError(
                    f"{name!r} cannot name a tensor: lower case letters, digits and _, and none of {FIELDS}"
                )
        return tensors

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Declared tensor -> shape of the label of one atom or one system."""
        return {
            name: (3,) * t.order if t.order is not None else (Irreps.parse(t.irreps or "").dim,)
            for name, t in self.tensors.items()
        }

    def irreps_read(self) -> frozenset[Irrep]:
        """What the heads can use of a backbone's features; it may leave out the rest of its last layer."""
        read = {SCALAR}
        named = (self.dipole, self.born_charges, self.polarizability)
        if any(t is not None for t in named) or self.tensors:
            read.add(VECTOR)
        if self.born_charges is not None:
            read |= set(MATRIX)
        if self.polarizability is not None:
            read.add(Irrep.natural(2))
        for tensor in self.tensors.values():
            if tensor.irreps is not None:
                read |= set(Irreps.parse(tensor.irreps).labels)
            else:
                read |= set(tensor.direct_irreps())
        return frozenset(read)

    def names(self) -> tuple[str, ...]:
        """Labels that these targets can learn from, forces and stress included."""
        found: list[str] = []
        if self.energy is not None:
            found += ["energy"] + ["forces"] * self.energy.forces + ["stress"] * (self.energy.stress is True)
        found += [n for n in NAMED if getattr(self, n) is not None]
        return (*found, *self.tensors)
