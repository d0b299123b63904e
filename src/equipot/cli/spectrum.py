"""`equipot spectrum`."""

from dataclasses import asdict
from inspect import signature
from pathlib import Path
from typing import Annotated, Any

import typer

from equipot import api
from equipot.cli.options import AsJson, Out, Quiet
from equipot.cli.screen import as_json, call, say
from equipot.engines.isotopes import parse_masses
from equipot.spectra.comparison import with_measured
from equipot.spectra.files import write_harmonic


def spectrum(
    run: Annotated[Path, typer.Argument(help="Folder of `equipot md`.")],
    ir: Annotated[bool, typer.Option("--ir", help="Infrared absorption.")] = False,
    raman: Annotated[bool, typer.Option("--raman", help="Raman scattering.")] = False,
    power: Annotated[bool, typer.Option("--power", help="Vibrational density of states.")] = False,
    resolution: Annotated[
        float | None, typer.Option(help="Line width, 1/cm; default 10 or what the run allows.")
    ] = None,
    window: Annotated[
        str, typer.Option(help="hann, blackman, gaussian, bartlett, exponential, none.")
    ] = "hann",
    quantum: Annotated[
        str, typer.Option(help="Quantum correction: harmonic, standard, schofield.")
    ] = "harmonic",
    laser: Annotated[float | None, typer.Option(help="Laser wavelength, nm: Raman cross sections.")] = None,
    frame: Annotated[str, typer.Option(help="lab, or eckart to take rotation out.")] = "lab",
    step_correction: Annotated[bool, typer.Option(help="Undo the blue shift of the time step.")] = True,
    model: Annotated[
        Path | None, typer.Option(help="Model file, for harmonic lines in the same figure.")
    ] = None,
    mass: Annotated[
        list[str] | None, typer.Option(help="Isotope of the harmonic lines: H=D, C=13.003, of one atom 4=D.")
    ] = None,
    reference: Annotated[
        Path | None, typer.Option(help="Measured spectrum: columns wavenumber_cm-1,absorbance, or JCAMP-DX.")
    ] = None,
    limits: Annotated[
        str | None, typer.Option("--range", help="Of the comparison, 1/cm, for example 400:4000.")
    ] = None,
    beside: Annotated[
        list[Path] | None, typer.Option(help="Another run in the same figures, say with quantum nuclei.")
    ] = None,
    broaden: Annotated[float, typer.Option(help="Both spectra in the comparison, FWHM in 1/cm.")] = 0.0,
    folder: Out = None,
    quiet: Quiet = False,
    json_: AsJson = False,
) -> None:
    """Power, infrared and Raman spectra of a run: figures, CSV, JSON and a report. All three without a flag."""
    chosen = tuple(k for k, wanted in (("ir", ir), ("raman", raman), ("power", power)) if wanted)
    options: dict[str, Any] = {
        "kinds": chosen or None, "resolution": resolution, "window": window, "quantum": quantum,
        "laser": laser, "frame": frame, "step_correction": step_correction,
    }  # fmt: skip
    defaults = signature(api.spectrum).parameters
    changed = {n: v for n, v in options.items() if v != defaults[n].default}
    others = beside or []
    python = (
        call("equipot.spectrum_beside", run, [str(place) for place in others], **changed)
        if others
        else call("equipot.spectrum", run, **changed)
    )
    say(f"Python: {python}", quiet=quiet or json_)
    loaded = None if model is None else api.load(model)
    if mass and loaded is None:
        raise ValueError(
            "--mass is of the harmonic lines, which need --model. The masses of a run are those of equipot md."
        )
    measured = None if reference is None else api.read_measured(reference)
    isotopes = parse_masses(mass or [])
    harmonic = None if loaded is None else api.harmonic(loaded, api.first_structure(run), isotopes)
    trajectories = [api.recorded(place, loaded) for place in (run, *others)]
    options["harmonic"] = harmonic
    found = (
        api.spectrum_beside(trajectories[0], trajectories[1:], **options)
        if others
        else api.spectrum(trajectories[0], **options)
    )
    if measured is not None:
        found = with_measured(
            found, measured, chosen[0] if len(chosen) == 1 else None, _limits(limits), broaden
        )
    place = folder or run / "spectra"
    written = found.write(place)
    if harmonic is not None:
        written.append(place / "harmonic.json")
        write_harmonic(harmonic, written[-1])
    written.append(api.report_of(run, found, place / "report.html", python, loaded))
    if json_:
        compared = {k: s.comparison.document() for k, s in found.kinds.items() if s.comparison is not None}
        as_json({"files": [str(p) for p in written], "header": asdict(found.header), "comparison": compared})
        return
    for note in found.notes:
        say(note, quiet=quiet)
    for line in (line for s in found.kinds.values() if s.comparison for line in s.comparison.lines()):
        say(line, quiet=quiet)
    for path in written:
        say(str(path), quiet=quiet)


def _limits(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        low, high = (float(part) for part in text.split(":"))
    except ValueError:
        low, high = 0.0, 0.0
    if not low < high:
        raise ValueError(f"--range {text!r}: expected LOW:HIGH in 1/cm, for example 400:4000.")
    return low, high
