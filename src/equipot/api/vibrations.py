"""Minima, normal modes and phonons, and runs as spectra want them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ase import Atoms

from equipot.api.model import Model, load
from equipot.data.read import read
from equipot.engines.ase import Calculator
from equipot.engines.header import model_hash
from equipot.engines.isotopes import mass, masses_of
from equipot.engines.relax import Relaxation
from equipot.engines.relax import relax as relax_structure
from equipot.engines.trajectories import files
from equipot.evaluate.report import write_simulation_report
from equipot.spectra.displacements import modes_of
from equipot.spectra.harmonic import Harmonic
from equipot.spectra.phonons.calculation import phonons as phonons_of
from equipot.spectra.phonons.minimum import to_minimum
from equipot.spectra.phonons.result import Born, Phonons
from equipot.spectra.rates import with_dipole_rates
from equipot.spectra.result import Spectra
from equipot.spectra.trajectory import Trajectory, read_run
from equipot.train.run import Observer, Say


def relax(model: Model | str | Path, start: Atoms | str | Path, **options: Any) -> Relaxation:
    """The minimum nearest to a structure; options are those of `Model.relax`."""
    model = model if isinstance(model, Model) else load(model)
    return model.relax(start, **options)


def phonons(
    model: Model | str | Path,
    start: Atoms | str | Path,
    supercell: Sequence[int] = (2, 2, 2),
    *,
    relax: bool = True,
    cell: bool = True,
    path: str = "auto",
    mesh: tuple[int, int, int] | None = None,
    displacement: float = 0.01,
    born: Born | None = None,
    observe: Observer = lambda step, total, text: None,
    say: Say = lambda text: None,
) -> Phonons:
    """Phonons of a crystal: bands, density of states, thermal properties; imaginary modes are among its `warnings()`.

    Args:
        model: energy and forces.
        start: the crystal, or a file of which the last structure is taken.
        supercell: how often the cell is repeated along its vectors.
        relax: go to the minimum first, down to 1e-4 eV/Å, with the symmetry of the crystal kept.
        cell: there with the cell, at zero pressure; False: atoms only.
        path: special points of the bands such as GXWK,LG; auto: the customary ones of the lattice.
        mesh: points along the reciprocal vectors of the primitive cell.
        displacement: Å.
        born: charges and dielectric tensor, for the splitting of longitudinal from transverse modes.
        observe: called after every displacement.
        say: what becomes of messages.
    """
    model = model if isinstance(model, Model) else load(model)
    atoms = start.copy() if isinstance(start, Atoms) else model.structures(start)[-1]
    atoms.calc = Calculator(model.double())
    note = to_minimum(atoms, relax, cell)
    say(note)
    return phonons_of(
        atoms,
        supercell,
        path=path,
        mesh=mesh,
        displacement=displacement,
        born=born,
        progress=lambda done, total: observe(done, total, ""),
        source=model.path.name,
        notes=(note,),
    )


def harmonic(
    model: Model | str | Path, start: Atoms, masses: Mapping[str, float | str] | None = None
) -> Harmonic:
    """Normal modes at the minimum nearest to `start`, with infrared and Raman intensities where the model can.

    Of a crystal the phonons at Γ; its sum rules are enforced, and by how much they were missed is kept. The masses are
    those of `start`, with isotopes by element or index of an atom in their place: {"H": "D"}, {"C": 13.003}.
    """
    model = model if isinstance(model, Model) else load(model)
    minimum = relax_structure(model.potential, start).atoms
    chosen = masses_of(start, {name: mass(value) for name, value in (masses or {}).items()})
    return modes_of(model.potential, minimum, chosen, source=model.path.name)


def first_structure(run: str | Path) -> Atoms:
    """Where the production of a dynamics run began, with its masses."""
    atoms = read(files(Path(run))[0])[0].atoms()
    document = json.loads((Path(run) / "md.json").read_text(encoding="utf-8"))
    atoms.set_masses(document["masses"])
    return atoms


def recorded(run: str | Path, model: Model | None = None) -> Trajectory:
    """A dynamics run; where it has no dipole, with the rate of it by the Born charges of a model."""
    found = read_run(run)
    if model is None or found.has("dipole") or found.has("dipole_rate"):
        return found
    names = {"born_charges"} if found.periodic else {"born_charges", "dipole"}
    if not names & set(model.potential.targets):
        return found
    return with_dipole_rates(found, model.potential, first_structure(run), source=model.path.name)


def report_of(
    run: str | Path, spectra: Spectra, out: Path, made_by: str = "", model: Model | None = None
) -> Path:
    """One HTML file about a run and its spectra; with the proofs of `model` if that is what moved the atoms."""
    same = model is not None and model_hash(model.potential) == spectra.header.model
    proven = model.document.proofs if model is not None and same else None
    return write_simulation_report(Path(run), spectra, out, made_by, proven)
