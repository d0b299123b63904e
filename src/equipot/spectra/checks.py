"""What must hold before a spectrum means anything, and what is worth a note after."""

from collections.abc import Sequence

import numpy as np

from equipot import units
from equipot.config import nearest
from equipot.spectra.correlation import get_window
from equipot.spectra.harmonic import Harmonic
from equipot.spectra.line import BOLTZMANN, Method
from equipot.spectra.prepare import Prepared
from equipot.spectra.trajectory import Segment, Trajectory

KINDS = ("ir", "raman", "power")
FRAMES = ("lab", "eckart")
RESOLUTION = 10.0  # cm⁻¹, where the trajectories are long enough

_STRIDE_HYDROGEN = 4.0  # fs; the Nyquist limit is then 4169 cm⁻¹
_STRIDE_HEAVY = 6.0  # fs; 2780 cm⁻¹, above triple bonds
_STRIDE_ADVISED = 2.0  # fs
_LEAST_ENTRIES = 64
_DRIFT = 0.01  # of k_BT per degree of freedom over T_m
_TEMPERATURE = 0.1  # relative deviation of the kinetic temperature that is worth a note


def choose_kinds(trajectory: Trajectory, kinds: Sequence[str] | None) -> tuple[tuple[str, ...], list[str]]:
    """The kinds asked for, refused where the trajectory cannot give them; None means all that it can.

    In the second case the notes say what is left out.
    """
    if kinds is None:
        lacking = {kind: _lack(trajectory, kind) for kind in KINDS}
        notes = [f"no {kind} spectrum: {why}" for kind, why in lacking.items() if why]
        return tuple(kind for kind, why in lacking.items() if not why), notes
    if not kinds:
        raise ValueError(f"no spectrum was asked for. Choose from {', '.join(KINDS)}.")
    for kind in kinds:
        if kind not in KINDS:
            raise ValueError(f"spectrum {kind!r} is not known.{nearest(kind, KINDS)}")
        if why := _lack(trajectory, kind):
            others = tuple(k for k in kinds if not _lack(trajectory, k)) or ("power",)
            raise ValueError(f"{trajectory.source}: no {kind} spectrum: {why} Or ask for kinds={others}.")
    return tuple(kinds), []


def check_request(trajectory: Trajectory, frame: str) -> None:
    """Refuse too coarse a sampling, and a frame that is unknown or does not exist."""
    if frame not in FRAMES:
        raise ValueError(f"frame {frame!r} is not known.{nearest(frame, FRAMES)}")
    if frame == "eckart" and trajectory.has("dipole_rate") and not trajectory.has("dipole"):
        raise ValueError(
            f"{trajectory.source}: the rate of the dipole was recorded and not the dipole, which a frame that turns "
            "with the molecule needs. Use frame='lab', or a model with the target 'dipole'."
        )
    if frame == "eckart" and trajectory.periodic:
        raise ValueError(f"{trajectory.source}: a periodic cell has no Eckart frame. Use frame='lab'.")
    _check_sampling(trajectory)


def _lack(trajectory: Trajectory, kind: str) -> str:
    """Why there can be no such spectrum; empty if there can."""
    if kind == "ir" and trajectory.periodic and trajectory.cell is None:
        return "absorption of a cell is given per volume, and this one is not periodic in three directions."
    wanted = {"ir": ("dipole_rate", "dipole"), "raman": ("polarizability",)}.get(kind, ())
    if not wanted or any(trajectory.has(name) for name in wanted):
        return ""
    if kind == "ir":
        target = "born_charges" if trajectory.periodic else "dipole"
        return (
            f"the trajectory has no dipole and no rate of it. Run the dynamics with a model trained on the target "
            f"{target!r}, or give that model to `equipot spectrum` by --model."
        )
    return "the trajectory has no polarizability. Run the dynamics with a model trained on the target 'polarizability'."


def _check_sampling(trajectory: Trajectory) -> None:
    hydrogen = bool(np.any(trajectory.numbers == 1))
    largest = _STRIDE_HYDROGEN if hydrogen else _STRIDE_HEAVY
    if trajectory.stride > largest * (1 + 1e-9):
        nyquist = 1 / (2 * units.light * trajectory.stride)
        raise ValueError(
            f"{trajectory.source}: one entry every {trajectory.stride:g} fs sees nothing above "
            f"{nyquist:.0f} cm⁻¹ and folds what is there onto lower lines. Write every {largest:g} fs at most"
            f"{' (hydrogen is present)' if hydrogen else ''}; {_STRIDE_ADVISED:g} fs is advised."
        )


def choose_lags(trajectory: Trajectory, window: str, resolution: float | None) -> tuple[int, list[str]]:
    """Depth of the correlation function in entries, and a note where the default had to be coarser."""
    shape, stride = get_window(window), trajectory.stride
    entries = min(len(s) for s in trajectory.segments) - 1  # differences
    if entries < _LEAST_ENTRIES:
        raise ValueError(
            f"{trajectory.source}: the shortest segment has {entries + 1} entries ({entries * stride:g} fs), "
            f"too short for a spectrum: expected more than {_LEAST_ENTRIES}. Run longer."
        )
    if resolution is not None and resolution <= 0:
        raise ValueError(f"resolution {resolution:g} cm⁻¹: expected above zero, for example {RESOLUTION:g}.")
    lags = shape.lags(resolution or RESOLUTION, stride)
    if resolution is None and lags > entries // 4:
        lags = entries // 4
        return lags, [
            f"resolution {shape.resolution(lags * stride):.1f} cm⁻¹ instead of {RESOLUTION:g}: the finest "
            f"that a quarter of the shortest segment ({entries * stride / 1000:g} ps) allows"
        ]
    if lags > entries // 3:
        finest = shape.resolution(entries // 3 * stride)
        needed = 3 * shape.depth(resolution or RESOLUTION) / 1000
        raise ValueError(
            f"{trajectory.source}: resolution {resolution:g} cm⁻¹ needs a window of "
            f"{lags * stride / 1000:.2f} ps, more than a third of the shortest segment "
            f"({entries * stride / 1000:.2f} ps). Run at least {needed:.1f} ps per segment, or ask for "
            f"{finest:.1f} cm⁻¹ or more."
        )
    return lags, []


def warnings_of(
    prepared: Prepared, method: Method, degrees: int, kinetic: float, harmonic: Harmonic | None
) -> list[str]:
    """What does not forbid a spectrum but should be known by whoever reads it."""
    notes = []
    if method.stride > _STRIDE_ADVISED:
        notes.append(f"one entry every {method.stride:g} fs; {_STRIDE_ADVISED:g} fs or less is advised")
    drift = max((_drift(s, prepared.masses, method) for s in prepared.segments), default=0.0)
    scale = BOLTZMANN * method.temperature / units.acceleration  # eV
    if drift > _DRIFT * scale * degrees:
        notes.append(
            f"the energy drifts by {drift / scale / degrees:.1%} of k_BT per degree of freedom over the "
            "window: take a shorter time step"
        )
    if abs(kinetic / method.temperature - 1) > _TEMPERATURE:
        notes.append(
            f"the kinetic temperature is {kinetic:.0f} K, not {method.temperature:g} K: intensities are off "
            "by the ratio. Equilibrate longer or run more replicas"
        )
    if harmonic is not None and harmonic.imaginary().size:
        notes.append(
            f"{harmonic.imaginary().size} imaginary harmonic modes "
            f"(to {harmonic.imaginary().min():.0f} cm⁻¹): the geometry is no minimum"
        )
    return notes


def _drift(segment: Segment, masses: np.ndarray, method: Method) -> float:
    """Change of the total energy over T_m by a straight line through it, eV; zero where not recorded."""
    if segment.energy is None:
        return 0.0
    kinetic = 0.5 * np.einsum("i,tia,tia->t", masses, segment.velocities, segment.velocities)
    total = segment.energy + kinetic / units.acceleration
    time = method.stride * np.arange(len(segment))
    return float(abs(np.polyfit(time, total - total.mean(), 1)[0]) * method.depth)
