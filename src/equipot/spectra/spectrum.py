"""From a trajectory to its spectra: every choice named, every number with its error and unit."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from equipot.spectra.checks import check_request, choose_kinds, choose_lags, warnings_of
from equipot.spectra.curves import MAKERS, Curve
from equipot.spectra.harmonic import Harmonic, Sticks
from equipot.spectra.infrared import per_volume
from equipot.spectra.line import Line, Method
from equipot.spectra.peaks import find_peaks, match
from equipot.spectra.power import kinetic_temperature
from equipot.spectra.prepare import degrees_of_freedom, prepare
from equipot.spectra.quantum import over_harmonic
from equipot.spectra.raman import LOWEST, scattering_factor
from equipot.spectra.result import Header, Spectra, Spectrum
from equipot.spectra.rings import correction
from equipot.spectra.rings import notes as ring_notes
from equipot.spectra.trajectory import Trajectory, read_run


def spectrum(
    run: str | Path | Trajectory,
    kinds: Sequence[str] | None = None,
    resolution: float | int | None = None,
    window: str = "hann",
    temperature: float | int | None = None,
    laser: float | int | None = None,
    quantum: str = "harmonic",
    step_correction: bool = True,
    frame: str = "lab",
    derivative: str = "forward",
    harmonic: Harmonic | None = None,
    reference: Harmonic | None = None,
) -> Spectra:
    """Infrared, Raman and power spectra of a molecular dynamics run.

    Args:
        run: folder of a run, or a trajectory.
        kinds: any of "ir", "raman", "power"; None means all that the trajectory has.
        resolution: width of a sharp line, cm⁻¹. None means 10, or the finest that a quarter of the
            shortest segment allows, which is then said in the notes; a number is refused when the
            window it needs is longer than a third.
        window: lag window by name.
        temperature: K; None means that of the run.
        laser: wavelength in nm; turns Raman activities into absolute cross-sections.
        quantum: correction factor by name, for infrared and Raman.
        step_correction: undo the blue shift of velocity Verlet.
        frame: "lab", or "eckart" to leave rotation out.
        derivative: "forward" or "central" difference.
        harmonic: normal modes to draw and match; their geometry is the Eckart reference.
        reference: those of another method, say of the level that the model learned from; drawn in their own
            color, and matched instead.
    """
    trajectory = run if isinstance(run, Trajectory) else read_run(run)
    check_request(trajectory, frame)
    chosen, left_out = choose_kinds(trajectory, kinds)
    kelvin = float(trajectory.temperature if temperature is None else temperature)
    lags, notes = choose_lags(trajectory, window, None if resolution is None else float(resolution))
    method = Method(
        stride=trajectory.stride,
        temperature=kelvin,
        lags=lags,
        window=window,
        derivative=derivative,
        step=trajectory.step if step_correction else None,
    )
    over_harmonic(quantum, np.ones(1), kelvin)  # an unknown name is refused before the work
    quantum = correction(quantum, trajectory.rings)
    nm = None if laser is None else float(laser)
    prepared, frame_notes = prepare(trajectory, frame, harmonic)
    curves = [MAKERS[kind](prepared, method, frame, quantum, nm) for kind in chosen]
    # velocities stay in the laboratory frame, whatever the frame of the spectrum
    moving = degrees_of_freedom(trajectory, prepared, "lab", kelvin)
    kinetic = kinetic_temperature([s.velocities for s in prepared.segments], prepared.masses, moving)
    header = Header(
        method=_nuclei(trajectory),
        source=trajectory.source,
        model=trajectory.model,
        engine=trajectory.engine,
        temperature=kelvin,
        kinetic_temperature=kinetic,
        dt=trajectory.step,
        stride=trajectory.stride,
        entries=sum(len(s) for s in trajectory.segments),
        segments=len(trajectory.segments),
        window=window,
        window_time=method.depth,
        resolution=method.resolution,
        derivative=derivative,
        frame=frame,
        quantum=quantum,
        step_correction=step_correction,
        laser=nm,
        degrees_found=next((c.whole for c in curves if c.whole is not None), None),
        degrees_expected=degrees_of_freedom(trajectory, prepared, frame, kelvin),
        error=_error(curves[0].line),
        notes=(
            *trajectory.notes,
            *ring_notes(trajectory.rings, kelvin, bool((trajectory.numbers == 1).any())),
            *left_out,
            *notes,
            *frame_notes,
            *warnings_of(prepared, method, moving, kinetic, harmonic),
            *(note for curve in curves for note in curve.notes),
        ),
    )
    return Spectra(
        header=header,
        kinds={c.kind: _finished(c, method, harmonic, reference, nm, trajectory.cell) for c in curves},
    )


def _finished(
    curve: Curve,
    method: Method,
    harmonic: Harmonic | None,
    reference: Harmonic | None,
    laser: float | None,
    cell: np.ndarray | None,
) -> Spectrum:
    line, error = curve.line, curve.line.stderr()
    peaks = find_peaks(line.wavenumber, line.value, error, method.resolution)
    sticks, theirs = (_sticks(h, curve.kind, laser, method.temperature, cell) for h in (harmonic, reference))
    lines = sticks if theirs is None else theirs
    return Spectrum(
        kind=curve.kind,
        label=curve.label,
        unit=curve.unit,
        wavenumber=line.wavenumber,
        value=line.value,
        stderr=error,
        components={name: part.value for name, part in curve.components.items()},
        peaks=peaks,
        sticks=sticks,
        reference=theirs,
        matches=() if lines is None else match(peaks, lines),
    )


def _sticks(
    harmonic: Harmonic | None, kind: str, laser: float | None, temperature: float, cell: np.ndarray | None
) -> Sticks | None:
    sticks = None if harmonic is None else harmonic.sticks(kind)
    if sticks is None or harmonic is None:
        return None
    if cell is not None:
        sticks = _of_cell(sticks, kind, cell, cell if harmonic.cell is None else harmonic.cell)
    return _absolute(sticks, laser, temperature) if kind == "raman" and laser is not None else sticks


def _of_cell(sticks: Sticks, kind: str, cell: np.ndarray, own: np.ndarray) -> Sticks:
    """Lines of a crystal whose modes were found in another cell: per volume, or of as many as this one holds."""
    volume, theirs = (float(abs(np.linalg.det(c))) for c in (cell, own))
    return replace(sticks, value=sticks.value * (per_volume(theirs) if kind == "ir" else volume / theirs))


def _absolute(sticks: Sticks, laser: float, temperature: float) -> Sticks:
    keep = sticks.wavenumber >= LOWEST
    factor = scattering_factor(sticks.wavenumber[keep], laser, temperature) / 45
    ratio = None if sticks.depolarization is None else sticks.depolarization[keep]
    return Sticks(
        wavenumber=sticks.wavenumber[keep],
        value=factor * sticks.value[keep],
        depolarization=ratio,
        source=sticks.source,
    )


def _nuclei(trajectory: Trajectory) -> str:
    if trajectory.rings is None:
        return "autocorrelation of time derivatives, classical nuclei"
    return f"autocorrelation of time derivatives of averages over the beads, {trajectory.rings}"


def _error(line: Line) -> str:
    if line.blocks:
        return f"standard error from the spread of {line.blocks} blocks"
    return "expected error of a Gaussian process: fewer than 8 blocks of 2 T_m"
