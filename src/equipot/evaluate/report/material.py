"""What a report is made of, gathered from a run folder."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from equipot.config import parse, read_yaml
from equipot.data.collate import graph
from equipot.data.frame import Frame
from equipot.deploy.document import DataFile, ModelDocument
from equipot.deploy.model_file import load as load_model
from equipot.evaluate.metrics import Comparison, Evaluation, evaluate
from equipot.evaluate.report.relative import above_references
from equipot.potential import Potential
from equipot.train.config import RunConfig
from equipot.train.dataset import Splits
from equipot.train.dataset import load as load_data


@runtime_checkable
class SpectraLike(Protocol):
    """What the report asks of `equipot.spectra.result.Spectra`, which stands above it."""

    @property
    def kinds(self) -> Mapping[str, Any]:
        """Spectra by kind."""
        ...

    @property
    def header(self) -> Any:
        """How they were made."""
        ...

    def plotly(self, kind: str) -> Any:
        """The interactive figure of a kind."""
        ...


@dataclass(frozen=True, kw_only=True)
class Material:
    """A finished run, its predictions, and what was done with its model."""

    folder: Path
    potential: Potential
    document: ModelDocument
    log: Sequence[Mapping[str, Any]] = ()
    splits: Splits | None = None
    evaluations: Mapping[str, Evaluation]  # energies without the reference energies
    dynamics: Path | None = None
    spectra: SpectraLike | None = None
    notes: tuple[str, ...] = ()  # what is missing or has changed

    @property
    def part(self) -> str | None:
        """The part that errors are judged on: test where there is one."""
        return next((p for p in ("test", "valid") if self.evaluations.get(p)), None)

    @property
    def judged(self) -> Mapping[str, Comparison]:
        """Comparisons of that part."""
        return self.evaluations[self.part] if self.part else {}

    @property
    def thermodynamics(self) -> Mapping[str, Any] | None:
        """The md.json of the dynamics; None without one."""
        path = None if self.dynamics is None else self.dynamics / "md.json"
        return json.loads(path.read_text(encoding="utf-8")) if path is not None and path.exists() else None

    @property
    def frames(self) -> Sequence[Frame]:
        """Structures of that part; empty when the data could not be read."""
        return self.splits.parts()[self.part] if self.splits and self.part else ()


def gather(
    folder: Path,
    evaluations: Mapping[str, Evaluation] | None,
    dynamics: Path | None,
    spectra: SpectraLike | None,
) -> Material:
    """Read the run; predictions that are not given are computed again."""
    potential, document = load_model(folder / "model.equipot")
    splits, notes = _splits(folder, document)
    if evaluations is None:
        evaluations = _predictions(potential, splits)
    structures = splits.parts() if splits else {}
    counted = {
        part: above_references(evaluation, structures.get(part, ()), document.statistics)
        for part, evaluation in evaluations.items()
    }
    return Material(
        folder=folder,
        potential=potential,
        document=document,
        log=_log(folder / "log.jsonl"),
        splits=splits,
        evaluations=counted,
        dynamics=dynamics,
        spectra=spectra,
        notes=notes,
    )


def _splits(folder: Path, document: ModelDocument) -> tuple[Splits | None, tuple[str, ...]]:
    """The data of the run, if it is still there, and whether it is still the same."""
    path = folder / "config.yaml"
    config = parse(RunConfig, read_yaml(path) if path.exists() else document.run, str(path))
    try:
        splits = load_data(config.data, config.targets)
    except (OSError, ValueError) as error:
        return None, (
            f"The data of this run cannot be read here ({error}): what needs structures is left out.",
        )
    known = {file.sha256 for file in document.provenance.data}
    changed = [p.name for p in splits.files if known and DataFile.of(p).sha256 not in known]
    return splits, tuple(
        f"{name} has changed since the training: predictions shown here are of the present file."
        for name in changed
    )


def _predictions(potential: Potential, splits: Splits | None) -> dict[str, Evaluation]:
    if splits is None:
        return {}
    names = potential.config.targets.names()
    parts = {"valid": splits.valid, "test": splits.test}
    return {
        part: evaluate(potential, [graph(f, potential.cutoff) for f in frames], names)
        for part, frames in parts.items()
        if frames
    }


def _log(path: Path) -> list[dict[str, Any]]:
    """Validations of the training; a line that was cut off by a crash is passed over."""
    if not path.exists():
        return []
    return [
        json.loads(x) for x in path.read_text(encoding="utf-8").splitlines(keepends=True) if x[-1] == "\n"
    ]
