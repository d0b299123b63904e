"""`equipot md`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from equipot import api
from equipot.cli.options import ModelFile, Overrides, Quiet
from equipot.cli.screen import Failed, call, progress, say
from equipot.config import override
from equipot.engines.allocator import keep_memory
from equipot.engines.catalog import usual_engine
from equipot.engines.isotopes import parse_masses
from equipot.engines.settings import EngineName, Method


def md(
    model: ModelFile,
    start: Annotated[
        Path, typer.Argument(help="Starting structure: any file that ASE reads; its last frame.")
    ],
    overrides: Overrides = None,
    temperature: Annotated[float, typer.Option(help="K.")] = 300.0,
    time: Annotated[float, typer.Option(help="Production, ps.")] = 10.0,
    equilibrate: Annotated[float, typer.Option(help="Thermostatted run before it, ps.")] = 1.0,
    dt: Annotated[float, typer.Option(help="Time step, fs.")] = 0.5,
    stride: Annotated[int, typer.Option(help="Steps between two samples.")] = 4,
    ensemble: Annotated[str, typer.Option(help="Production in nve, langevin, bussi or npt.")] = "nve",
    pressure: Annotated[float, typer.Option(help="bar, with ensemble npt.")] = 1.0,
    engine: Annotated[
        EngineName | None,
        typer.Option(help="Who moves the atoms; none: ipi for ring polymers, lammps for ranks, else ase."),
    ] = None,
    ranks: Annotated[int, typer.Option(help="Processes that divide the cell among them (LAMMPS).")] = 1,
    beads: Annotated[int, typer.Option(help="Of a ring polymer: quantum nuclei (i-PI).")] = 1,
    method: Annotated[Method, typer.Option(help="Of ring polymers.")] = "trpmd",
    replicas: Annotated[int, typer.Option(help="Independent copies, evaluated together.")] = 1,
    mass: Annotated[
        list[str] | None, typer.Option(help="Isotope, for example H=D, C=13.003 or, of one atom, 4=D.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of velocities and thermostat.")] = 1,
    folder: Annotated[Path, typer.Option("--out", "-o", help="Run folder.")] = Path("md"),
    quiet: Quiet = False,
) -> None:
    """Molecular dynamics on any engine, with dipole and polarizability along the way. Started again, it goes on.

    Further settings as key=value, for example friction=0.02.
    """
    values: dict[str, Any] = {
        "temperature": temperature, "time": time, "equilibration": equilibrate, "dt": dt, "stride": stride,
        "ensemble": ensemble, "replicas": replicas, "seed": seed, "engine": engine or usual_engine(beads, ranks),
    }  # fmt: skip
    if mass:
        values["masses"] = parse_masses(mass)
    values |= {"pressure": pressure} if ensemble == "npt" else {}
    values |= {"ranks": ranks} if ranks > 1 else {}
    values |= {"beads": beads, "method": method} if beads > 1 else {}
    settings = override(values, overrides or [])
    say(f"Python: {call('equipot.md', model, start, settings, out=folder)}", quiet=quiet)
    keep_memory()
    try:
        with progress("dynamics", quiet=quiet) as observe:
            run = api.md(model, start, settings, folder, observe=observe, say=lambda t: say(t, quiet=quiet))
    except KeyboardInterrupt:
        say(f"Stopped. The same command goes on from the last restart file in {folder}.")
        raise Failed(130) from None
    kept = json.loads((run / "md.json").read_text(encoding="utf-8"))["conservation"]
    say(f"mean temperature {kept['temperature']:.0f} K", quiet=quiet)
    if "drift" in kept:
        say(f"drift of the energy {1000 * kept['drift']:.3g} meV/atom/ps", quiet=quiet)
    say(f"run     {run}\nnext    equipot spectrum {run}", quiet=quiet)
