"""The nouns and verbs of equipot in Python; the command line is made of these."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from equipot.config import override, parse, read_yaml
from equipot.data.collate import graph
from equipot.data.doctor import inspect
from equipot.data.frame import Frame
from equipot.data.read import Frames, read
from equipot.deploy.document import ModelDocument, Proof
from equipot.deploy.model_file import load as load_model_file
from equipot.deploy.model_file import with_proofs
from equipot.engines.ase import Calculator
from equipot.engines.displacements import slopes
from equipot.engines.dynamics import run_dynamics
from equipot.engines.relax import relax
from equipot.engines.settings import Dynamics
from equipot.evaluate.metrics import Comparison, evaluate
from equipot.evaluate.proofs import verify
from equipot.potential import Potential
from equipot.spectra.checks import KINDS
from equipot.spectra.harmonic import Harmonic
from equipot.spectra.harmonic import harmonic as normal_modes
from equipot.spectra.spectrum import spectrum
from equipot.train.config import RunConfig
from equipot.train.run import Observer, Run, Say
from equipot.train.run import train as train_run

__all__ = [
    "KINDS",
    "Dynamics",
    "Model",
    "harmonic",
    "inspect",
    "load",
    "md",
    "read",
    "run_config",
    "spectrum",
    "train",
]


class Model:
    """A trained potential and the file that it came from."""

    def __init__(self, path: Path, potential: Potential, document: ModelDocument) -> None:
        self.path, self.potential, self.document = path, potential, document

    def calculator(self, **options: Any) -> Calculator:
        """An ASE calculator: energy, forces, stress, dipole, charges, and `polarizability` in results."""
        return Calculator(self.potential, **options)

    def evaluate(self, data: str | Path | Frames, **reading: Any) -> dict[str, Comparison]:
        """Compare with the labels of a file."""
        frames = data if isinstance(data, Frames) else read(data, **self._reading(reading))
        graphs = [graph(f, self.potential.cutoff) for f in frames.structures]
        names = [n for n in self.potential.config.targets.names() if frames.count(n)]
        if not names:
            wanted = ", ".join(self.potential.config.targets.names())
            raise ValueError(
                f"{frames.path}: no label that this model predicts ({wanted}). See `equipot inspect`."
            )
        return evaluate(self.potential, graphs, names)

    def verify(
        self, frames: Sequence[Frame] | None = None, *, quick: bool = False, store: bool = True
    ) -> tuple[Proof, ...]:
        """Prove symmetries, derivatives, smoothness and conservation; the sheet goes into the model file."""
        proofs = verify(self.potential, frames, quick=quick)
        if store:
            with_proofs(self.path, proofs)
            self.document = self.document.model_copy(update={"proofs": proofs})
        return proofs

    def double(self) -> Potential:
        """A float64 copy of the potential, for Hessians and proofs."""
        return copy.deepcopy(self.potential).double()

    def _reading(self, given: dict[str, Any]) -> dict[str, Any]:
        """Keys and units as in training, unless said otherwise."""
        data = self.document.run.get("data")
        known = ("keys", "units", "components", "symmetrize")
        stored = {k: v for k, v in data.items() if k in known and v} if isinstance(data, dict) else {}
        return {**stored, **{k: v for k, v in given.items() if v}}


def load(path: str | Path, device: str = "cpu") -> Model:
    """Open a model file: checked, rebuilt from the closed list of architectures, fingerprints recomputed."""
    potential, document = load_model_file(path, device=device)
    return Model(Path(path), potential, document)


def run_config(source: str | Path | Mapping[str, Any], assignments: Sequence[str] = ()) -> RunConfig:
    """The configuration of a training run from a YAML file, a data file or a mapping, with `a.b=value` on top."""
    where = "configuration"
    if isinstance(source, Mapping):
        values = dict(source)
    elif Path(source).suffix in (".yaml", ".yml"):
        values, where = read_yaml(source), str(source)
    else:
        values = {"data": {"train": str(source)}}
    return parse(RunConfig, override(values, assignments), where)


def train(
    source: str | Path | Mapping[str, Any] | RunConfig,
    out: str | Path | None = None,
    *,
    assignments: Sequence[str] = (),
    observe: Observer = lambda step, total, text: None,
    say: Say = lambda text: None,
) -> Run:
    """Train from a configuration or straight from a data file; started again, it resumes."""
    config = source if isinstance(source, RunConfig) else run_config(source, assignments)
    folder = Path(out) if out is not None else default_folder(config)
    return train_run(config, folder, observe=observe, say=say)


def default_folder(config: RunConfig) -> Path:
    """runs/DATA-ARCHITECTURE."""
    stem = Path(config.data.train).name.split(".")[0]
    return Path("runs") / f"{stem}-{config.model.name}"


def md(
    model: Model | str | Path,
    start: Atoms | Sequence[Atoms] | str | Path,
    settings: Dynamics | Mapping[str, Any] | None = None,
    out: str | Path = "md",
    observe: Observer = lambda step, total, text: None,
    say: Say = lambda text: None,
) -> Path:
    """Molecular dynamics on ASE; the folder holds trajectories with dipoles and polarizabilities, and restarts."""
    model = model if isinstance(model, Model) else load(model)
    if isinstance(start, str | Path):
        start = read(start)[-1].atoms()
    chosen = settings if isinstance(settings, Dynamics) else parse(Dynamics, dict(settings or {}), "dynamics")
    return run_dynamics(
        model.potential, start, chosen, Path(out), progress=lambda s, t: observe(s, t, ""), say=say
    )


def harmonic(model: Model | str | Path, start: Atoms) -> Harmonic:
    """Normal modes at the minimum nearest to `start`, with infrared and Raman intensities where the model can."""
    model = model if isinstance(model, Model) else load(model)
    minimum = relax(model.potential, start)
    derivatives = slopes(model.potential, minimum)
    return normal_modes(
        derivatives,
        minimum.numbers.astype(np.int64),
        minimum.positions,
        minimum.get_masses(),
        rotations=not minimum.pbc.any(),
        source=str(model.path),
    )


def first_structure(run: str | Path) -> Atoms:
    """Where the production of a dynamics run began."""
    return read(Path(run) / "trajectory-000.extxyz")[0].atoms()
