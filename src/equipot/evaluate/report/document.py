"""One HTML file about a run, from its parts."""

from collections.abc import Callable, Mapping
from pathlib import Path

from equipot.deploy.atomic import write_atomically
from equipot.evaluate.metrics import Comparison
from equipot.evaluate.report import (
    cost,
    data,
    dynamics,
    forgotten,
    learning,
    parity,
    physics,
    proofs,
    provenance,
    spectra,
    usage,
    verdict,
    worst,
)
from equipot.evaluate.report.material import Material, SpectraLike, gather
from equipot.evaluate.report.page import Section, page

_SECTIONS: tuple[Callable[[Material], Section | None], ...] = (
    verdict.section,
    provenance.section,
    data.section,
    learning.section,
    parity.section,
    forgotten.section,
    worst.section,
    proofs.section,
    physics.section,
    dynamics.section,
    spectra.section,
    cost.section,
    usage.section,
)


def write_report(
    run_folder: Path,
    *,
    evaluations: Mapping[str, Mapping[str, Comparison]] | None = None,
    dynamics: Path | None = None,
    spectra: SpectraLike | None = None,
    out: Path | None = None,
) -> Path:
    """Write RUN/report.html: what was trained, how wrong it is, what was proven, and what was done with it.

    Args:
        run_folder: holds model.equipot, config.yaml and log.jsonl. The data is read from the paths of config.yaml,
            relative to the working directory, as in training; without it the report says so and shows the rest.
        evaluations: part -> target -> comparison; None evaluates validation and test set again.
        dynamics: folder of a molecular dynamics run with this model.
        spectra: of that run.
        out: where to write instead.
    """
    run_folder = Path(run_folder)
    material = gather(run_folder, evaluations, dynamics, spectra)
    made = (build(material) for build in _SECTIONS)
    sections = [s for s in made if s is not None]
    path = out or run_folder / "report.html"
    write_atomically(path, page(sections[0].title, sections).encode())
    return path
