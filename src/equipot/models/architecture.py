"""What every architecture's configuration has in common."""

from typing import Any, ClassVar, Literal

from pydantic import PositiveFloat, field_validator, model_validator

from equipot.batch import AtomicVector, Condition
from equipot.config import Config

Size = Literal["small", "medium", "large"]


BasisName = Literal["spherical", "cartesian", "auto"]


class ArchitectureConfig(Config):
    """A cutoff, and a size that stands for the hyper-parameters which the user does not set."""

    presets: ClassVar[dict[str, dict[str, Any]]] = {}

    size: Size = "medium"
    cutoff: PositiveFloat = 5.0  # Å
    conditions: tuple[
        Condition, ...
    ] = ()  # what energies depend on beside positions: charge, spin, of every frame

    @field_validator("conditions")
    @classmethod
    def _each_once(cls, names: tuple[Condition, ...]) -> tuple[Condition, ...]:
        if len(set(names)) < len(names):
            raise ValueError("name each condition once")
        return names

    @property
    def free_atoms_exact(self) -> bool:
        """An atom without neighbors has its reference energy and nothing else, whatever was learned."""
        return False

    @property
    def strictly_local(self) -> bool:
        """An atom's features are a function of its edges and of the elements at their ends alone."""
        return False

    @property
    def atomic_inputs(self) -> tuple[AtomicVector, ...]:
        """Covariant inputs of the atoms, beside their elements, that the model reads."""
        return ()

    @model_validator(mode="before")
    @classmethod
    def _fill_from_size(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        preset = cls.presets.get(values.get("size", "medium"), {})
        return {**preset, **values}


class SteerableConfig(ArchitectureConfig):
    """An architecture whose features are irreps of any degree, in either tensor basis."""

    basis: BasisName = (
        "auto"  # the same weights give the same numbers in both; auto: spherical, which costs less
    )

    @property
    def tensor_basis(self) -> str:
        """The name that `get_basis` understands."""
        return "spherical" if self.basis == "auto" else self.basis
