"""`equipot demo`."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from ase import Atoms
from rich.table import Table

from equipot import api, units
from equipot.cli.inspect import show
from equipot.cli.options import Quiet
from equipot.cli.screen import Failed, errors_table, out, progress, say
from equipot.cli.verify import proof_table
from equipot.data.doctor import inspect
from equipot.data.shipped import ethanol, ethanol_harmonic
from equipot.evaluate.report import write_report
from equipot.spectra.derivatives import Derivatives
from equipot.spectra.harmonic import Harmonic, harmonic, mixture
from equipot.spectra.result import Spectra
from equipot.train.loop import Interrupted

# epochs instead of a time budget: the same model on every machine
LONG: dict[str, Any] = {"epochs": 80, "picoseconds": 8.0, "equilibrate": 1.0, "replicas": 16}
TEMPERATURE = 300.0  # K
SHORT: dict[str, Any] = {"epochs": 8, "picoseconds": 1.0, "equilibrate": 0.5, "replicas": 8}


def demo(
    quick: Annotated[
        bool, typer.Option("--quick", help="Below two minutes: to see that everything works.")
    ] = False,
    folder: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to.")] = Path("runs/demo"),
    quiet: Quiet = False,
) -> None:
    """The whole way on shipped data: inspect, train, evaluate, verify, dynamics, spectra, report.

    One PaiNN learns energy, forces, dipole and polarizability of ethanol from density-functional data; many
    copies then move at 300 K, and their infrared, Raman and power spectra are drawn beside harmonic frequencies.
    About ten minutes on two cores. Stopped and started again, it goes on.
    """
    size = SHORT if quick else LONG
    folder = folder.with_name(folder.name + "-quick") if quick and folder == Path("runs/demo") else folder
    clock: dict[str, float] = {}
    say(f"Everything is written to {folder}.\n", quiet=quiet)
    with _timed(clock, "inspect", quiet):
        diagnosis = inspect(ethanol())
        if not quiet:
            show(diagnosis)
    with _timed(clock, "train", quiet):
        run = _train(size, folder, quiet)
        if not quiet:
            out.print(errors_table("\nerrors on the test set", run.metrics["test"]))
    with _timed(clock, "verify", quiet):
        model = api.load(run.model)
        proofs = model.verify(list(run.splits.test)[:3], quick=quick)
        if not quiet:
            out.print(proof_table(proofs))
    conformers = ethanol_harmonic()
    with _timed(clock, "dynamics", quiet), progress("dynamics", quiet=quiet) as observe:
        settings = {
            "temperature": TEMPERATURE,
            "time": size["picoseconds"],
            "equilibration": size["equilibrate"],
            "replicas": size["replicas"],
        }
        starts = [_atoms(conformers[name]) for name in ("gauche", "gauche", "trans", "gauche")]
        dynamics = api.md(model, starts, settings, folder / "md", observe=observe)
    with _timed(clock, "spectra", quiet):
        modes = {name: api.harmonic(model, _atoms(c)) for name, c in conformers.items()}
        references = {name: _reference(c) for name, c in conformers.items()}
        shares = _populations(conformers, TEMPERATURE)
        spectra = api.spectrum(
            dynamics,
            harmonic=mixture([modes[name] for name in conformers], shares),
            reference=mixture([references[name] for name in conformers], shares),
        )
        written = spectra.write(folder / "spectra")
    with _timed(clock, "report", quiet):
        report = write_report(folder, dynamics=dynamics, spectra=spectra)
    for name, found in () if quiet else modes.items():
        out.print(_frequencies(name, found, references[name]))
    _summarize(folder, run.metrics, modes, references, spectra, clock)
    failed = [p.name for p in proofs if not p.passed]
    say(f"\nmodel     {run.model}\ndynamics  {dynamics}\nspectra   {written[0].parent}", quiet=quiet)
    say(f"report    {report.resolve()}\n{sum(clock.values()):.0f} s in all.", quiet=quiet)
    if failed:
        raise Failed(3)


def _train(size: dict[str, Any], folder: Path, quiet: bool) -> Any:
    config = {
        "data": {"train": str(ethanol()), "valid": 50, "test": 150},
        "model": {"name": "painn", "size": "small"},
        "targets": {"dipole": {}, "polarizability": {}, "total_charge": 0},
        "train": {"preset": "quick", "epochs": size["epochs"], "batch": 5},
    }
    try:
        with progress("training", quiet=quiet) as observe:
            return api.train(config, folder, observe=observe, say=lambda text: say(text, quiet=quiet))
    except Interrupted:
        say("Stopped at a safe point. The same command goes on.")
        raise Failed(130) from None


@contextmanager
def _timed(clock: dict[str, float], name: str, quiet: bool) -> Iterator[None]:
    """A step of the way, with its title and its time."""
    say(f"\n── {len(clock) + 1} · {name} " + "─" * (60 - len(name)), quiet=quiet)
    start = time.monotonic()
    yield
    clock[name] = round(time.monotonic() - start, 1)


def _atoms(conformer: dict[str, Any]) -> Atoms:
    return Atoms(conformer["symbols"], positions=conformer["positions"])


def _populations(conformers: dict[str, dict[str, Any]], temperature: float) -> list[float]:
    """Share of each conformer, degeneracy times Boltzmann factor of its energy."""
    energies = np.array([c["energy"] for c in conformers.values()])
    weights = np.exp(-(energies - energies.min()) / (units.kB * temperature))
    weights *= [c["degeneracy"] for c in conformers.values()]
    return (weights / weights.sum()).tolist()


def _reference(conformer: dict[str, Any]) -> Harmonic:
    """Normal modes from the shipped derivatives, by our own harmonic route; rows of the file are coordinates r_ib."""
    atoms = _atoms(conformer)
    n = len(atoms)
    dipole = np.array(conformer["dipole_derivatives_e"]).reshape(n, 3, 3)
    polarizability = np.array(conformer["polarizability_derivatives_A2"]).reshape(n, 3, 3, 3)
    derivatives = Derivatives(
        hessian=np.array(conformer["hessian_eV_per_A2"]).reshape(n, 3, n, 3),
        dipole=np.moveaxis(dipole, 1, -1),
        polarizability=np.moveaxis(polarizability, 1, -1),
    )
    masses = np.array(conformer["masses_amu"])
    return harmonic(
        derivatives, atoms.numbers.astype(np.int64), atoms.positions, masses, source="B3LYP/6-31G(d)"
    )


def _frequencies(name: str, found: Harmonic, reference: Harmonic) -> Table:
    """The model's normal modes beside those of density-functional theory, in order."""
    table = Table(title=f"\nharmonic, {name}", title_justify="left", box=None, pad_edge=False, padding=(0, 2))
    for column in ("model 1/cm", "DFT 1/cm", "model km/mol", "DFT km/mol", "model Å⁴/amu", "DFT Å⁴/amu"):
        table.add_column(column, justify="right")
    columns = [column for a, b in zip(_columns(found), _columns(reference), strict=True) for column in (a, b)]
    for row in zip(*columns, strict=True):
        table.add_row(*(f"{x:.{0 if k < 2 else 1}f}" for k, x in enumerate(row)))
    return table


def _columns(modes: Harmonic) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    activity = modes.activity()
    assert modes.infrared is not None and activity is not None
    return modes.wavenumbers, modes.infrared, activity


def _summarize(
    folder: Path,
    metrics: dict[str, Any],
    modes: dict[str, Harmonic],
    references: dict[str, Harmonic],
    spectra: Spectra,
    clock: dict,
) -> None:
    """Numbers of this demo, for programs."""
    values: dict[str, Any] = {"test": metrics["test"], "seconds": clock, "harmonic": {}, "infrared_peaks": []}
    for name, found in modes.items():
        reference = references[name].wavenumbers
        values["harmonic"][name] = {
            "model": [round(float(x), 1) for x in found.wavenumbers],
            "dft": [round(float(x), 1) for x in reference],
            "mean_absolute_difference": round(float(np.abs(found.wavenumbers - reference).mean()), 2),
        }
    for match in spectra["ir"].matches:
        if match.peak is not None:
            row = {"position": match.peak.position, "area": match.peak.area, "harmonic_dft": match.harmonic}
            row |= {"intensity_dft": match.intensity, "error": match.peak.position_error}
            values["infrared_peaks"].append({k: v if v is None else round(v, 1) for k, v in row.items()})
    (folder / "demo.json").write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
