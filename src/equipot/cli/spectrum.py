"""`equipot spectrum`."""

from dataclasses import asdict
from inspect import signature
from pathlib import Path
from typing import Annotated, Any

import typer

from equipot import api
from equipot.cli.options import AsJson, Out, Quiet
from equipot.cli.screen import as_json, call, say


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
    folder: Out = None,
    quiet: Quiet = False,
    json_: AsJson = False,
) -> None:
    """Power, infrared and Raman spectra of a run: figures, CSV, JSON. All three without a flag."""
    chosen = tuple(k for k, wanted in (("ir", ir), ("raman", raman), ("power", power)) if wanted)
    options: dict[str, Any] = {
        "kinds": chosen or None, "resolution": resolution, "window": window, "quantum": quantum,
        "laser": laser, "frame": frame, "step_correction": step_correction,
    }  # fmt: skip
    defaults = signature(api.spectrum).parameters
    changed = {n: v for n, v in options.items() if v != defaults[n].default}
    say(f"Python: {call('equipot.spectrum', run, **changed)}", quiet=quiet or json_)
    harmonic = None if model is None else api.harmonic(api.load(model), api.first_structure(run))
    found = api.spectrum(run, **options, harmonic=harmonic)
    written = found.write(folder or run / "spectra")
    if json_:
        as_json({"files": [str(p) for p in written], "header": asdict(found.header)})
        return
    for note in found.notes:
        say(note, quiet=quiet)
    for path in written:
        say(str(path), quiet=quiet)
