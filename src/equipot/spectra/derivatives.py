"""Hessian, dipole and polarizability derivatives by central differences, of anything that can be called."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.calculators.calculator import all_changes
from jaxtyping import Float

_WANTED = ("forces", "dipole", "polarizability")
_ASYMMETRY = 1e-4


@dataclass(frozen=True, kw_only=True)
class Response:
    """What a calculator says of one geometry; None where it does not know."""

    forces: Float[np.ndarray, "atoms 3"]  # eV/Å
    dipole: Float[np.ndarray, " 3"] | None = None  # e·Å
    polarizability: Float[np.ndarray, "3 3"] | None = None  # Å³


@dataclass(frozen=True, kw_only=True)
class Derivatives:
    """First derivatives of forces, dipole and polarizability by the positions r_ib.

    The index of the property comes first: Z_{i,ab} = ∂M_a/∂r_ib. Others store the transpose, and Z is in general
    not symmetric. None where a property is not known.
    """

    hessian: Float[np.ndarray, "atoms 3 atoms 3"]  # eV/Å²
    dipole: Float[np.ndarray, "atoms 3 3"] | None = None  # e, the Born effective charges
    polarizability: Float[np.ndarray, "atoms 3 3 3"] | None = None  # Å², ∂α_ab/∂r_ic as [i, a, b, c]
    static: Float[np.ndarray, "3 3"] | None = None  # Å³, the polarizability itself


def central_differences(
    positions: Float[np.ndarray, "atoms 3"],
    response: Callable[[np.ndarray], Response],
    step: float = 0.005,
) -> Derivatives:
    """Derivatives at `positions` from two geometries per coordinate, `step` Å to either side.

    The Hessian is symmetrized; an asymmetry above 1e-4 of its largest element is refused: it means
    forces that are no derivative of an energy, or forces with noise.
    """
    atoms = len(positions)
    pairs = []
    for index in range(3 * atoms):
        shift = np.zeros(3 * atoms)
        shift[index] = step
        shift = shift.reshape(atoms, 3)
        pairs.append((response(positions + shift), response(positions - shift)))

    def slopes(name: str) -> np.ndarray | None:
        values = [(getattr(plus, name), getattr(minus, name)) for plus, minus in pairs]
        if values[0][0] is None:
            return None
        return np.array([(plus - minus) / (2 * step) for plus, minus in values])

    forces, dipole, polarizability = (slopes(name) for name in _WANTED)
    assert forces is not None
    hessian = symmetrized(-forces.reshape(3 * atoms, 3 * atoms))
    return Derivatives(
        hessian=hessian.reshape(atoms, 3, atoms, 3),
        dipole=None if dipole is None else np.moveaxis(dipole.reshape(atoms, 3, 3), 1, -1),
        polarizability=None
        if polarizability is None
        else np.moveaxis(polarizability.reshape(atoms, 3, 3, 3), 1, -1),
    )


def ase_response(atoms: Atoms) -> Callable[[np.ndarray], Response]:
    """The response of the ASE calculator attached to `atoms`, with the dipole and polarizability it offers.

    Raw forces: constraints are not applied.
    """
    calculator = atoms.calc
    if calculator is None:
        raise ValueError("the atoms have no calculator: attach one, atoms.calc = model.calculator().")
    wanted = [name for name in _WANTED if name in calculator.implemented_properties]
    copy = atoms.copy()

    def response(positions: np.ndarray) -> Response:
        copy.positions = positions
        calculator.calculate(copy, wanted, all_changes)
        results = calculator.results
        dipole, polarizability = results.get("dipole"), results.get("polarizability")
        return Response(
            forces=np.array(results["forces"], dtype=float),
            dipole=None if dipole is None else np.array(dipole, dtype=float).reshape(3),
            polarizability=None
            if polarizability is None
            else np.array(polarizability, dtype=float).reshape(3, 3),
        )

    return response


def symmetrized(
    hessian: Float[np.ndarray, "coordinates coordinates"],
) -> Float[np.ndarray, "coordinates coordinates"]:
    """The symmetric part; an asymmetry above 1e-4 of the largest element is refused."""
    largest = np.abs(hessian).max()
    asymmetry = np.abs(hessian - hessian.T).max() / largest if largest > 0 else 0.0
    if not asymmetry <= _ASYMMETRY:
        raise ValueError(
            f"the Hessian is asymmetric: {asymmetry:.1e} of its largest element, expected below "
            f"{_ASYMMETRY:.0e}. Forces must be the derivative of the energy, in "
            "float64, at a relaxed structure; else take a shorter step."
        )
    return (hessian + hessian.T) / 2
