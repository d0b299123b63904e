"""The nouns and verbs of equipot in Python; the command line is made of these."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ase import Atoms

from equipot.config import override, parse, read_yaml
from equipot.data.collate import graph
from equipot.data.frame import Frame
from equipot.data.read import Frames, read
from equipot.deploy.document import ModelDocument, Proof
from equipot.deploy.model_file import load as load_model_file
from equipot.deploy.model_file import with_proofs
from equipot.engines.ase import Calculator
from equipot.engines.dynamics import Dynamics, run_dynamics
from equipot.evaluate.metrics import Comparison, evaluate
from equipot.evaluate.proofs import verify
from equipot.potential import Potential
from equipot.spectra.spectrum import spectrum
from equipot.train.config import RunConfig
from equipot.train.run import Observer, Run, Say
from equipot.train.run import train as train_run

__all__ = ["Dynamics", "Model", "load", "md", "read", "run_config", "spectrum", "train"]


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
        data = self.document.run.get("data", {})
        stored = {k: data[k] for k in ("keys", "units", "components", "symmetrize") if data.get(k)}
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
    start: Atoms | str | Path,
    settings: Dynamics | Mapping[str, Any] | None = None,
    out: str | Path = "md",
    observe: Observer = lambda step, total, text: None,
) -> Path:
    """Molecular dynamics on ASE; the folder holds trajectories with dipoles and polarizabilities, and restarts."""
    import ase.io

    model = model if isinstance(model, Model) else load(model)
    if isinstance(start, str | Path):
        found = ase.io.read(start, index=-1)
        assert isinstance(found, Atoms)
        start = found
    chosen = settings if isinstance(settings, Dynamics) else parse(Dynamics, dict(settings or {}), "dynamics")
    return run_dynamics(model.potential, start, chosen, Path(out), progress=lambda s, t: observe(s, t, ""))
