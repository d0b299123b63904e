"""The nouns and verbs of equipot in Python; the command line is made of these."""

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from jaxtyping import Float

from equipot.comparison.config import CompareConfig
from equipot.comparison.course import Observe
from equipot.comparison.request import Options as CompareOptions
from equipot.comparison.request import request as compare_config
from equipot.comparison.run import compare as run_comparison
from equipot.comparison.table import ModelTable
from equipot.config import override, parse, read_yaml
from equipot.data.collate import batch_of, graph, refuse_unknown
from equipot.data.conditions import refuse_unseen
from equipot.data.doctor import inspect
from equipot.data.frame import Frame
from equipot.data.labels import tabulate
from equipot.data.read import Frames, read
from equipot.data.sources import open_source
from equipot.deploy import fingerprints
from equipot.deploy.document import ModelDocument, Proof
from equipot.deploy.model_file import load as load_model_file
from equipot.deploy.model_file import save as save_model_file
from equipot.deploy.model_file import with_proofs
from equipot.engines.agreement import agreement, chosen
from equipot.engines.ase import Calculator
from equipot.engines.dynamics import run_dynamics
from equipot.engines.ipi.advice import advice
from equipot.engines.ipi.alone import write_inputs
from equipot.engines.isotopes import mass, masses_of
from equipot.engines.relax import Relaxation
from equipot.engines.relax import relax as relax_structure
from equipot.engines.settings import Dynamics
from equipot.engines.trajectories import files
from equipot.evaluate.metrics import Comparison, evaluate
from equipot.evaluate.proofs import verify
from equipot.potential import Potential, born_charges
from equipot.spectra.checks import KINDS
from equipot.spectra.displacements import modes_of
from equipot.spectra.harmonic import Harmonic
from equipot.spectra.measured import read_measured
from equipot.spectra.phonons.calculation import phonons as phonons_of
from equipot.spectra.phonons.minimum import to_minimum
from equipot.spectra.phonons.result import Born, Phonons
from equipot.spectra.rates import with_dipole_rates
from equipot.spectra.spectrum import spectrum
from equipot.spectra.trajectory import Trajectory, read_run
from equipot.train.config import SHORT, RunConfig
from equipot.train.inherit import inherited
from equipot.train.run import Observer, Run, Say
from equipot.train.run import train as train_run

__all__ = [
    "KINDS",
    "Born",
    "Dynamics",
    "Model",
    "ModelTable",
    "compare",
    "compare_config",
    "export",
    "harmonic",
    "inspect",
    "load",
    "md",
    "phonons",
    "read",
    "read_measured",
    "relax",
    "run_config",
    "spectrum",
    "train",
]

PLACES = ("positions", "numbers")  # what a file must have, whatever its labels


class Model:
    """A trained potential and the file that it came from."""

    def __init__(self, path: Path, potential: Potential, document: ModelDocument) -> None:
        self.path, self.potential, self.document = path, potential, document

    def calculator(self, **options: Any) -> Calculator:
        """An ASE calculator: energy, forces, stress, dipole, charges, and `polarizability` in results."""
        return Calculator(self.potential, **options)

    def __repr__(self) -> str:
        elements = " ".join(chemical_symbols[z] for z in self.potential.elements)
        name, targets = self.document.potential.model.name, ", ".join(self.potential.targets)
        return f"Model({str(self.path)!r}: {name} of {targets} for {elements})"

    def evaluate(
        self,
        data: str | Path | Frames,
        keys: Mapping[str, str | None] | None = None,
        units: Mapping[str, str] | None = None,
    ) -> dict[str, Comparison]:
        """Compare with the labels of a file, those of its targets that the file has.

        Args:
            data: structures with labels.
            keys: property -> name in the file, on top of those of the training.
            units: property -> unit of the file, likewise.
        """
        frames = data if isinstance(data, Frames) else read(data, **self.reading(data, keys, units))
        for frame in frames.structures:
            refuse_unseen(frame, self.potential.conditions_read)
        graphs = [graph(f, self.potential.cutoff) for f in frames.structures]
        names = [n for n in self.names if frames.count(n)]
        if not names:
            raise ValueError(
                f"{frames.path}: no label that this model predicts ({', '.join(self.names)}). See `equipot inspect`."
            )
        return evaluate(self.potential, graphs, names)

    @property
    def names(self) -> tuple[str, ...]:
        """Labels that it can be compared with."""
        return self.potential.config.targets.names()

    def relax(self, start: Atoms | str | Path, **options: Any) -> Relaxation:
        """The minimum nearest to a structure; options are those of `equipot.relax`."""
        return relax(self, start, **options)

    def verify(
        self,
        frames: Sequence[Frame] | None = None,
        *,
        quick: bool = False,
        store: bool = True,
        engines: str | Sequence[str] = (),
        say: Say = lambda text: None,
    ) -> tuple[Proof, ...]:
        """Prove symmetries, derivatives, smoothness and conservation; the sheet goes into the model file.

        Without `frames` the structures of the training set that the file carries are taken. `engines`, by name or
        "all" that are installed, are held against the reference on them, too; those of all that refuse, `say` hears.
        """
        named = chosen(engines)
        if frames is None:
            frames = fingerprints.structures(self.potential, self.document.fingerprints, str(self.path))
        proofs = verify(self.potential, frames, quick=quick)
        if named:
            proofs += agreement(self.potential, frames, named, say if engines == "all" else None)
        if store:
            with_proofs(self.path, proofs)
            self.document = self.document.model_copy(update={"proofs": proofs})
        return proofs

    def born_charges(self, atoms: Atoms) -> Float[np.ndarray, "atoms 3 3"]:
        """Z*[i, a, b] = ∂M_a/∂r_ib of every atom, e, learned or by differentiating the dipole."""
        batch = batch_of([Frame.from_atoms(atoms)], self.potential.elements, self.potential.cutoff)
        return born_charges(self.potential, batch).detach().double().cpu().numpy()

    def double(self) -> Potential:
        """A float64 copy of the potential, for Hessians and proofs."""
        return copy.deepcopy(self.potential).double()

    def save(self, path: str | Path) -> Path:
        """Write the model with its document to a file, atomically, and only if it loads with the same numbers."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        save_model_file(path, self.potential, self.document)
        return path

    def last_structure(self, path: str | Path) -> Atoms:
        """The last frame of a file, as something to start from; refused when an element is unknown."""
        frame = read(path, **self.reading(path))[-1]
        refuse_unknown(frame, self.potential.elements)
        return frame.atoms()

    def reading(
        self,
        path: str | Path,
        keys: Mapping[str, str | None] | None = None,
        units: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Options of `read` for a file of labels: those of the training, and on top what is given.

        Names that the training used and this file does not have are left out, so that a file with some of the
        labels can be compared with.
        """
        data = self.document.run.get("data")
        stored: dict[str, Any] = data if isinstance(data, dict) else {}
        used: dict[str, str | None] = dict(stored.get("keys") or {})
        places = {n: k for n, k in used.items() if n in PLACES and k is not None}
        there = {*tabulate(open_source(path, places)), None, *places.values()}
        tensors = self.potential.config.targets.shapes()
        chosen = {**{n: k for n, k in used.items() if k in there}, **(keys or {})}
        return {
            "keys": chosen,
            "units": {**(stored.get("units") or {}), **(units or {})},
            "components": stored.get("components") or {},
            "symmetrize": stored.get("symmetrize") or (),
            "tensors": {n: shape for n, shape in tensors.items() if chosen.get(n, n) in there or n in chosen},
        }


def load(path: str | Path, device: str = "cpu") -> Model:
    """Open a model file: checked, rebuilt from the closed list of architectures, fingerprints recomputed."""
    potential, document = load_model_file(path, device=device)
    return Model(Path(path), potential, document)


def run_config(
    source: str | Path | Mapping[str, Any],
    assignments: Sequence[str] = (),
    start: Model | str | Path | Mapping[str, Any] | None = None,
) -> RunConfig:
    """The configuration of a training run from a YAML file, a data file or a mapping, with `a.b=value` on top.

    `start`, or that section in the source, names a model file: what is not said is as in that file.
    """
    where = "configuration"
    values: dict[str, Any]
    if isinstance(source, Mapping):
        values = dict(source)
    elif Path(source).suffix in (".yaml", ".yml"):
        values, where = read_yaml(source), str(source)
    else:
        values = {"data": {"train": str(source)}}
    if start is not None:
        values["start"] = start.path if isinstance(start, Model) else start
    return parse(RunConfig, inherited(override(values, assignments, SHORT), where), where)


def train(
    source: str | Path | Mapping[str, Any] | RunConfig,
    out: str | Path | None = None,
    *,
    start: Model | str | Path | Mapping[str, Any] | None = None,
    assignments: Sequence[str] = (),
    observe: Observer = lambda step, total, text: None,
    say: Say = lambda text: None,
) -> Run:
    """Train from a configuration or straight from a data file; started again, it resumes.

    Args:
        source: a configuration, as YAML file, mapping or `RunConfig`, or a data file.
        out: run folder.
        start: a model to train on, or a mapping with more about it: the keys of the `start` section.
        assignments: `a.b=value` on top of the configuration.
        observe: called after every step.
        say: what becomes of messages.
    """
    if isinstance(source, RunConfig) and (start is not None or assignments):
        raise ValueError(
            "a RunConfig is complete: give start and assignments to run_config, or a mapping to train."
        )
    config = source if isinstance(source, RunConfig) else run_config(source, assignments, start)
    folder = Path(out) if out is not None else default_folder(config)
    return train_run(config, folder, observe=observe, say=say)


def default_folder(config: RunConfig) -> Path:
    """runs/DATA-ARCHITECTURE, with -tuned behind it when training starts from a model file."""
    stem = Path(config.data.train).name.split(".")[0]
    return Path("runs") / f"{stem}-{config.model.name}{'' if config.start is None else '-tuned'}"


def compare(
    source: str | Path | Mapping[str, Any] | CompareConfig,
    models: str | Sequence[str] | None = None,
    out: str | Path | None = None,
    *,
    observe: Observe = lambda moment: None,
    say: Say = lambda text: None,
    **options: Unpack[CompareOptions],
) -> ModelTable:
    """Train several architectures on the same frames with the same budget; the table, which also lies in the folder.

    Options are budget, steps or epochs of every run, seeds, config, assignments. Started again in the same folder,
    finished runs are kept and an unfinished one goes on.
    """
    config = source if isinstance(source, CompareConfig) else compare_config(source, models, **options)
    return run_comparison(config, Path(out or compare_folder(config)), observe=observe, say=say)


def compare_folder(config: CompareConfig) -> Path:
    """runs/compare-DATA."""
    return Path("runs") / f"compare-{Path(config.data.train).name.split('.')[0]}"


def md(
    model: Model | str | Path,
    start: Atoms | Sequence[Atoms] | str | Path,
    settings: Dynamics | Mapping[str, Any] | None = None,
    out: str | Path = "md",
    observe: Observer = lambda step, total, text: None,
    say: Say = lambda text: None,
) -> Path:
    """Molecular dynamics on any engine; the folder holds trajectories with dipoles, polarizabilities, restarts."""
    model = model if isinstance(model, Model) else load(model)
    if isinstance(start, str | Path):
        start = model.last_structure(start)
    chosen = settings if isinstance(settings, Dynamics) else parse(Dynamics, dict(settings or {}), "dynamics")
    first = start if isinstance(start, Atoms) else start[0]
    if chosen.beads > 1:
        say(advice(first, chosen.temperature, chosen.beads))
    run = run_dynamics(
        model.potential, start, chosen, Path(out), progress=lambda s, t: observe(s, t, ""), say=say
    )
    if chosen.engine == "ipi":
        model.save(run / "i-pi" / "model.equipot")
        write_inputs(run / "i-pi", first, chosen, model.potential.targets)
    return run


def structures(model: Model, path: str | Path) -> list[Atoms]:
    """Every structure of a file with its constraints, masses, charge and spin; labels stay behind."""
    options = model.reading(path)
    places = {name: key for name, key in options["keys"].items() if key is not None}
    out = []
    for frame, raw in zip(read(path, **options), open_source(path, places).frames, strict=True):
        refuse_unknown(frame, model.potential.elements)
        atoms = replace(frame, labels={}).atoms()
        atoms.set_constraint(raw.atoms.constraints)
        if raw.atoms.has("masses"):
            atoms.new_array("masses", raw.atoms.arrays["masses"])
        out.append(atoms)
    return out


def relax(
    model: Model | str | Path,
    start: Atoms | str | Path,
    *,
    fmax: float = 0.01,
    steps: int = 1000,
    cell: bool = False,
    optimizer: str = "bfgs",
) -> Relaxation:
    """The minimum nearest to a structure, or to the last one of a file, in float64; its constraints are kept.

    Args:
        model: energy, forces, stress.
        start: where to begin.
        fmax: largest force of an atom, eV/Å.
        steps: of the optimizer, at most.
        cell: relax the cell too, at zero pressure.
        optimizer: bfgs; lbfgs for thousands of atoms; fire where these fail.

    Raises `NotRelaxed`, a ValueError that carries the last structure, when `steps` are not enough.
    """
    model = model if isinstance(model, Model) else load(model)
    atoms = start if isinstance(start, Atoms) else structures(model, start)[-1]
    return relax_structure(model.potential, atoms, fmax, steps, cell, optimizer)


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
    atoms = start.copy() if isinstance(start, Atoms) else structures(model, start)[-1]
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


def export(
    model: Model | str | Path,
    to: str = "lammps",
    start: Atoms | str | Path | None = None,
    out: str | Path = "lammps",
    python_free: bool = False,
) -> list[Path]:
    """What an engine needs beside the model file: the files that were written.

    `python_free`: compiled, so that LAMMPS runs without Python; strictly local models only.
    """
    from equipot.engines.lammps.export import export as export_to_lammps

    if to != "lammps":
        raise ValueError(f"export: found to={to!r}; expected 'lammps'.")
    model = model if isinstance(model, Model) else load(model)
    start = model.last_structure(start) if isinstance(start, str | Path) else start
    return export_to_lammps(model.potential, Path(out), start, python_free)


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
