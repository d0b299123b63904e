"""Labels of one geometry: energy, forces, dipole and polarizability at B3LYP/6-31G(d), by PySCF.

    energy           RKS, PySCF's `b3lyp` (VWN_RPA), no density fitting, grid level 2, converged to 1e-9 Ha
    forces           analytic gradient with grid response, so that they are the derivative of the energy
    dipole           relaxed density, about the origin of the coordinates
    polarizability   coupled-perturbed Kohn-Sham, static; response integrated on grid level 1

Units: Å, eV, eV/Å, e·Å, Å³.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from pyscf import dft, gto

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the package says that all of its modules are "under testing"
    from pyscf.prop.polarizability.rks import Polarizability

BOHR = 0.529177210903  # Å, CODATA 2018
HARTREE = 27.211386245988  # eV, CODATA 2018

METHOD = (
    "RKS B3LYP (PySCF's b3lyp), 6-31G(d), no density fitting, grid level 2, SCF 1e-9 Ha, gradient with "
    "grid response, CPKS polarizability with the response on grid level 1"
)
GRID, RESPONSE_GRID, ATOM_GRID = 2, 1, 4
SCF_TOLERANCE = 1e-9  # Ha, leaves 2e-4 eV/Å at most in a force
TIGHT = 1e-12  # Ha


@dataclass(frozen=True)
class Labels:
    energy: float  # eV
    forces: np.ndarray  # [atoms, 3], eV/Å
    dipole: np.ndarray  # [3], e·Å
    polarizability: np.ndarray  # [3, 3], Å³


def molecule(atoms: Atoms, spin: int = 0) -> gto.Mole:
    geometry = list(zip(atoms.get_chemical_symbols(), atoms.positions.tolist(), strict=True))
    return gto.M(atom=geometry, basis="6-31g(d)", unit="Angstrom", spin=spin, verbose=0)


def ground_state(
    atoms: Atoms, density: np.ndarray | None = None, tolerance: float = SCF_TOLERANCE
) -> dft.rks.RKS:
    """The converged Kohn-Sham state. A density near the answer saves cycles and changes no label."""
    state = dft.RKS(molecule(atoms))
    state.xc = "b3lyp"
    state.grids.level = GRID
    state.conv_tol = tolerance
    state.kernel(dm0=density)
    if not state.converged:
        raise RuntimeError(f"{atoms.get_chemical_formula()}: the SCF did not converge")
    return state


def forces(state: dft.rks.RKS) -> np.ndarray:
    gradient = state.nuc_grad_method()
    gradient.grid_response = True
    return -gradient.kernel() * HARTREE / BOHR


def polarizability(state: dft.rks.RKS) -> np.ndarray:
    """Static CPKS polarizability, symmetrized. The state keeps its own grid."""
    grid = dft.gen_grid.Grids(state.mol)
    grid.level = RESPONSE_GRID
    fine, state.grids = state.grids, grid
    alpha = Polarizability(state).polarizability() * BOHR**3
    state.grids = fine
    return (alpha + alpha.T) / 2


def labels(state: dft.rks.RKS) -> Labels:
    return Labels(
        energy=state.e_tot * HARTREE,
        forces=forces(state),
        dipole=state.dip_moment(unit="AU", verbose=0) * BOHR,
        polarizability=polarizability(state),
    )


def analytic_hessian(state: dft.rks.RKS) -> np.ndarray:
    """Second derivatives of the energy, eV/Å², [3 atoms, 3 atoms], without grid response."""
    blocks = state.Hessian().kernel()
    size = 3 * state.mol.natm
    return blocks.transpose(0, 2, 1, 3).reshape(size, size) * HARTREE / BOHR**2


def isolated_atom(symbol: str, spin: int) -> float:
    """Energy of a free atom with `spin` unpaired electrons, eV (UKS, grid level 4)."""
    state = dft.UKS(molecule(Atoms(symbol), spin))
    state.xc = "b3lyp"
    state.grids.level = ATOM_GRID
    state.conv_tol = SCF_TOLERANCE
    return state.kernel() * HARTREE
