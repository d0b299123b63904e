"""Phonons by displaced atoms in a supercell, through phonopy.

Togo, Chaput, Tadano and Tanaka, J. Phys.: Condens. Matter 35, 353001 (2023).
"""

import warnings
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from ase import Atoms
from jaxtyping import Float

from equipot import units
from equipot.spectra.phonons.path import Piece, band_path
from equipot.spectra.phonons.result import Band, Born, Density, Phonons, Thermal

#: cm⁻¹ of 1 THz
THZ = 1e-3 / units.light
_LENGTH = 60.0  # Å: a mesh has this over the length of a cell vector as its number of points
_BINS = 600  # of the density of states


def phonons(
    atoms: Atoms,
    supercell: Sequence[int] = (2, 2, 2),
    *,
    path: str = "auto",
    mesh: tuple[int, int, int] | None = None,
    displacement: float = 0.01,
    temperatures: Sequence[float] | None = None,
    born: Born | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    source: str = "",
    notes: Sequence[str] = (),
) -> Phonons:
    """Phonons of a crystal at a minimum of the energy of its calculator.

    Translational invariance is imposed on the force constants.

    Args:
        atoms: periodic in three directions, with a calculator.
        supercell: of the cell given; forces should have decayed over half of it.
        path: special points of the bands, see `band_path`.
        mesh: points along the reciprocal vectors of the primitive cell; None: dense enough for 60 Å.
        displacement: Å.
        temperatures: K; None: 0 to 1000 in steps of 10.
        born: charges and dielectric tensor for the splitting of longitudinal from transverse modes.
        progress: called with the displacements done and their number.
        source: which model; kept with the result.
        notes: kept with the result.
    """
    check_crystal(atoms)
    crystal = _crystal(atoms, supercell)
    crystal.generate_displacements(distance=displacement)
    cells = crystal.supercells_with_displacements
    crystal.forces = _forces(atoms, cells, progress)
    bend = _bend(atoms, crystal.supercell, cells[0], crystal.forces[0])
    crystal.produce_force_constants()
    crystal.symmetrize_force_constants()
    if born is not None:
        crystal.nac_params = _nonanalytic(crystal, born)
    primitive = _ase(crystal.primitive)
    with warnings.catch_warnings():
        # a mesh that lacks a symmetry of the crystal only costs more points
        warnings.filterwarnings("ignore", message="(?s)Mesh .*(symmetry|rebuilt)")
        sampled = crystal.run_mesh(_LENGTH if mesh is None else mesh, is_gamma_center=True)
    return Phonons(
        formula=primitive.get_chemical_formula(),
        supercell=np.array(crystal.supercell_matrix, dtype=np.int64),
        mesh=tuple(sampled.mesh_numbers.tolist()),
        points=np.array(sampled.qpoints),
        weights=np.array(sampled.weights, dtype=np.int64),
        wavenumbers=sampled.frequencies * THZ,
        bands=_bands(crystal, band_path(primitive, path)),
        density=_density(crystal),
        thermal=_thermal(
            crystal, np.arange(0.0, 1001, 10) if temperatures is None else np.array(temperatures)
        ),
        displacements=len(cells),
        bend=bend,
        source=source,
        notes=tuple(notes),
        phonopy=crystal,
    )


def check_crystal(atoms: Atoms) -> None:
    """Refuse what has no phonons."""
    if not atoms.pbc.all():
        raise ValueError(
            f"phonons need a crystal, periodic in three directions; found pbc = {atoms.pbc.tolist()}. The modes of a"
            " molecule: equipot.harmonic."
        )
    if atoms.info.get("charge") not in (None, 0) or atoms.info.get("spin") not in (None, 1):
        raise ValueError(
            f"phonons of a cell with charge {atoms.info.get('charge')} and multiplicity {atoms.info.get('spin')}: what"
            " its supercells have is not defined. Give a neutral singlet."
        )


def _crystal(atoms: Atoms, supercell: Sequence[int]) -> Any:
    """The Phonopy object."""
    try:
        from phonopy import Phonopy
        from phonopy.structure.atoms import PhonopyAtoms
        from phonopy.structure.cells import guess_primitive_matrix
    except ImportError:
        raise ValueError("phonons need the package phonopy: pip install 'equipot[phonons]'.") from None
    cell = PhonopyAtoms(
        symbols=list(atoms.symbols),
        cell=atoms.cell.array,
        scaled_positions=atoms.get_scaled_positions(),
        masses=atoms.get_masses(),
    )
    return Phonopy(cell, np.diag(supercell), primitive_matrix=guess_primitive_matrix(cell))


def _forces(atoms: Atoms, cells: Sequence[Any], progress: Callable[[int, int], None]) -> list[np.ndarray]:
    """One after another: neighbor lists last, since the supercells hardly differ."""
    found = []
    for k, cell in enumerate(cells):
        displaced = _ase(cell)
        displaced.info = {name: atoms.info[name] for name in ("charge", "spin") if name in atoms.info}
        displaced.calc = atoms.calc
        found.append(displaced.get_forces())
        progress(k + 1, len(cells))
    return found


def _bend(atoms: Atoms, still: Any, displaced: Any, forces: np.ndarray) -> float:
    """How far forces are from linear: those of half the displacement, doubled, against those of the whole one."""
    half = displaced.copy()
    half.scaled_positions = (still.scaled_positions + displaced.scaled_positions) / 2
    zero, middle = _forces(atoms, [still, half], lambda done, total: None)
    whole = forces - zero
    return float(np.abs(2 * (middle - zero) - whole).max() / np.abs(whole).max())


def _ase(cell: Any) -> Atoms:
    return Atoms(
        cell.symbols, scaled_positions=cell.scaled_positions, cell=cell.cell, masses=cell.masses, pbc=True
    )


def _nonanalytic(crystal: Any, born: Born) -> dict[str, Any]:
    """For the atoms of the primitive cell, out of those of the cell given."""
    to_cell = (
        crystal.supercell.u2u_map
    )  # a supercell atom that stands for one of the cell -> its place in the cell
    chosen = [to_cell[crystal.supercell.s2u_map[k]] for k in crystal.primitive.p2s_map]
    return {"born": born.charges[chosen], "dielectric": np.array(born.dielectric), "factor": units.coulomb}


def _bands(crystal: Any, pieces: Sequence[Piece]) -> tuple[Band, ...]:
    ends = [names for names, _ in pieces]
    connected = [a[1] == b[0] for a, b in pairwise(ends)] + [False]
    labels = [ends[0][0]]
    for k, (first, last) in enumerate(ends):
        labels += [last] if k == 0 or connected[k - 1] else [first, last]
    found = crystal.run_band_structure(
        [points for _, points in pieces], path_connections=connected, labels=labels
    )
    return tuple(
        Band(ends=names, points=points, distance=np.array(distance), wavenumbers=frequencies * THZ)
        for (names, points), distance, frequencies in zip(
            pieces, found.distances, found.frequencies, strict=True
        )
    )


def _density(crystal: Any) -> Density:
    low, high = (float(edge) for edge in (crystal.mesh.frequencies.min(), crystal.mesh.frequencies.max()))
    margin = 0.02 * (high - low) + 1e-3
    pitch = (high - low + 2 * margin) / _BINS
    found = crystal.run_total_dos(freq_min=low - margin, freq_max=high + margin, freq_pitch=pitch)
    return Density(wavenumber=found.frequency_points * THZ, value=found.dos / THZ)


def _thermal(crystal: Any, temperatures: Float[np.ndarray, " temperatures"]) -> Thermal:
    found = crystal.run_thermal_properties(temperatures=temperatures, exclude_gamma_acoustic=True)
    return Thermal(
        temperature=np.array(found.temperatures, dtype=np.float64),
        free_energy=found.free_energy,
        entropy=found.entropy,
        heat_capacity=found.heat_capacity,
    )
