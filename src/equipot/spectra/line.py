"""The line density L[X](ν), the one function under every spectrum.

    S(ω)    = ∫ ⟨Ẋ(0)·Ẋ(t)⟩ cos(ωt) dt        over all t
    L[X](ν) = (2c / k_B T) S(2πcν)

A classical harmonic mode Q gives L a line of area |dX/dQ|², the harmonic intensity, at any
temperature; whatever the dynamics, ∫₀^∞ L dν = ⟨|Ẋ|²⟩/k_B T. Units: X²/(amu Å²) per cm⁻¹.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import pi

import numpy as np
from jaxtyping import Float
from scipy import fft

from equipot import units
from equipot.config import nearest
from equipot.spectra.correlation import Window, autocorrelation, get_window

BOLTZMANN = units.kB * units.acceleration  # amu Å² fs⁻² K⁻¹
LINE = 2 * units.light / BOLTZMANN  # L = LINE S/T, with S in X²/fs

DERIVATIVES = ("forward", "central")
_LEAST_ATTENUATION = 0.1  # a central difference sees nothing near the Nyquist frequency: the grid ends there
_LEAST_COSINE = 0.1  # likewise for frequencies at the limit of the integrator's stability


@dataclass(frozen=True, kw_only=True)
class Method:
    """How a series becomes a line density: all that a reader needs to repeat it."""

    stride: float  # fs between two entries of the series
    temperature: float  # K, the target of the ensemble
    lags: int  # depth of the correlation function, in strides
    window: str = "hann"
    derivative: str = "forward"
    step: float | None = None  # fs of velocity Verlet, whose shift is undone; None leaves it
    biased: bool = False
    blocks: int = 8  # least number of blocks or trajectories for an error bar from their spread
    padding: int = 4  # interpolates the grid, adds no resolution

    def __post_init__(self) -> None:
        if not (self.stride > 0 and self.temperature > 0):
            raise ValueError(
                f"stride {self.stride} fs, temperature {self.temperature} K: both must be above zero."
            )
        if self.derivative not in DERIVATIVES:
            raise ValueError(
                f"derivative {self.derivative!r} is not known.{nearest(self.derivative, DERIVATIVES)}"
            )

    @property
    def shape(self) -> Window:
        """The lag window itself."""
        return get_window(self.window)

    @property
    def depth(self) -> float:
        """T_m, the longest time of the correlation function, fs."""
        return self.lags * self.stride

    @property
    def resolution(self) -> float:
        """Full width at half maximum of an infinitely sharp line, cm⁻¹."""
        return self.shape.resolution(self.depth)


@dataclass(frozen=True, kw_only=True)
class Line:
    """A density over wavenumber, with what is needed to carry its error through sums and ratios.

    Each row of `deviations` is one source of error, independent of the other rows; the standard
    error is the root of the sum of their squares. Lines that are added share their rows: the blocks
    of the same trajectories, so that correlated errors combine as they should.
    """

    wavenumber: Float[np.ndarray, " bins"]  # cm⁻¹
    value: Float[np.ndarray, " bins"]
    deviations: Float[np.ndarray, "sources bins"]
    blocks: int  # 0: the expected error of a Gaussian process, not a measured one

    def stderr(self) -> Float[np.ndarray, " bins"]:
        """One standard error of the value."""
        return np.sqrt(np.sum(self.deviations**2, axis=0))

    def area(self, low: float = 0.0, high: float = np.inf) -> float:
        """∫ value dν between two wavenumbers."""
        inside = (self.wavenumber >= low) & (self.wavenumber <= high)
        return float(np.trapezoid(self.value[inside], self.wavenumber[inside]))

    def __mul__(self, factor: int | float | np.ndarray) -> "Line":
        return replace(self, value=self.value * factor, deviations=self.deviations * factor)

    __rmul__ = __mul__

    def __add__(self, other: "Line") -> "Line":
        return replace(self, value=self.value + other.value, deviations=self.deviations + other.deviations)

    def below(self, highest: float) -> "Line":
        """The part up to a wavenumber."""
        keep = self.wavenumber <= highest
        return replace(
            self,
            wavenumber=self.wavenumber[keep],
            value=self.value[keep],
            deviations=self.deviations[:, keep],
        )


def line_density(
    series: Sequence[Float[np.ndarray, "_ *components"]], method: Method, independent: int = 1
) -> Line:
    """L[X] of one or more trajectories of X.

    X is differenced in time and the attenuation of the difference divided out: [sin(y)/y]² with
    y = ω·stride/2 for the forward difference, twice that for the central one.

    Args:
        series: X of every trajectory, equally spaced by `method.stride`.
        method: how.
        independent: statistically independent components of X, for the expected error.
    """
    rates = [differentiate(x, method.stride, method.derivative) for x in series]
    half = 0.5 if method.derivative == "forward" else 1.0
    return _density(rates, method, independent, attenuation=half * method.stride)


def rate_density(
    rates: Sequence[Float[np.ndarray, "_ *components"]], method: Method, independent: int = 1
) -> Line:
    """L[X] where Ẋ itself is known, as velocities are."""
    return _density(rates, method, independent, attenuation=0.0)


def differentiate(
    series: Float[np.ndarray, "steps *components"], stride: float, derivative: str = "forward"
) -> Float[np.ndarray, "fewer *components"]:
    """Ẋ by the forward difference (at mid-points) or the central one."""
    if derivative == "forward":
        return np.diff(series, axis=0) / stride
    return (series[2:] - series[:-2]) / (2 * stride)


def correlate(
    rates: Sequence[Float[np.ndarray, "_ *components"]], lags: int, biased: bool = False
) -> Float[np.ndarray, " lags_and_zero"]:
    """Autocorrelation averaged over trajectories, each weighted by its length."""
    weights = _lengths(rates)
    return sum(
        (w * autocorrelation(x, lags, biased) for w, x in zip(weights, rates, strict=True)),
        start=np.zeros(lags + 1),
    )


def transform(
    correlation: Float[np.ndarray, " lags_and_zero"], method: Method
) -> tuple[Float[np.ndarray, " bins"], Float[np.ndarray, " bins"]]:
    """Wavenumbers (cm⁻¹) and (2c/k_B T) ∫ C(t) w(t/T_m) cos(ωt) dt, from lag zero to the Nyquist frequency.

    The correlation function is even, so the transform is a real cosine transform (DCT-I) in
    which lag zero counts once. It may be negative: that is noise or the window, and stays.
    """
    lags = method.lags
    windowed = np.zeros(method.padding * lags + 1)
    windowed[: lags + 1] = correlation * method.shape.shape(np.linspace(0.0, 1.0, lags + 1))
    density = np.asarray(fft.dct(windowed, type=1)) * method.stride * LINE / method.temperature
    spacing = 1 / (2 * method.padding * method.depth * units.light)
    return spacing * np.arange(len(density)), density


def unshift(wavenumber: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """True wavenumbers of lines seen in velocity Verlet dynamics, and the factor that keeps areas.

        ν = sin(πc ν_obs dt)/(πc dt),    density × 1/cos(πc ν_obs dt)

    Exact for a harmonic mode; overtones and combinations are corrected only in part.
    """
    phase = pi * units.light * step * wavenumber
    return np.sin(phase) / (pi * units.light * step), 1 / np.cos(phase)


def _density(rates: Sequence[np.ndarray], method: Method, independent: int, attenuation: float) -> Line:
    wavenumber, value = transform(correlate(rates, method.lags, method.biased), method)
    deviations, blocks = _deviations(rates, value, method, independent)

    gain = np.sinc(2 * units.light * wavenumber * attenuation) ** 2  # np.sinc(x) is sin(πx)/(πx)
    keep = gain > _LEAST_ATTENUATION
    if method.step is not None:
        keep &= np.cos(pi * units.light * method.step * wavenumber) > _LEAST_COSINE
    last = len(keep) if keep.all() else int(np.argmin(keep))
    line = Line(
        wavenumber=wavenumber[:last], value=value[:last], deviations=deviations[:, :last], blocks=blocks
    )
    line = line * (1 / gain[:last])
    if method.step is None:
        return line
    true, jacobian = unshift(line.wavenumber, method.step)
    return replace(line * jacobian, wavenumber=true)


def _deviations(
    rates: Sequence[np.ndarray], value: np.ndarray, method: Method, independent: int
) -> tuple[np.ndarray, int]:
    """Rows of error, and how many blocks they come from: see `Line`."""
    pieces = _blocks(rates, method)
    if len(pieces) < method.blocks:
        total = method.stride * sum(len(x) for x in rates)
        return expected_error(method, total, independent) * value[None, :], 0
    weights = _lengths(pieces)
    spectra = np.array([transform(correlate([x], method.lags, method.biased), method)[1] for x in pieces])
    mean = weights @ spectra
    unbias = np.sqrt(len(pieces) / (len(pieces) - 1))
    return unbias * weights[:, None] * (spectra - mean), len(pieces)


def expected_error(method: Method, total: float, independent: int = 1) -> float:
    """Relative standard error of a resolved spectrum, √(∫w² dt / (T_total n)), n independent components.

    Of a Gaussian process. A mode that keeps its energy is less random than that.
    """
    return float(np.sqrt(method.shape.power * method.depth / (total * independent)))


def _blocks(rates: Sequence[np.ndarray], method: Method) -> list[np.ndarray]:
    """The trajectories cut into at least `method.blocks` pieces of 2 T_m or longer, where they allow it."""
    wanted = -(-method.blocks // len(rates))
    pieces = []
    for x in rates:
        count = min(wanted, max(1, len(x) // (2 * method.lags)))
        size = len(x) // count
        pieces += [x[i * size : (i + 1) * size] for i in range(count)]
    return pieces


def _lengths(rates: Sequence[np.ndarray]) -> np.ndarray:
    lengths = np.array([len(x) for x in rates], dtype=float)
    return lengths / lengths.sum()
