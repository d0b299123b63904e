"""Time correlation functions and the windows that set the width of every line."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil, pi
from types import MappingProxyType

import numpy as np
from jaxtyping import Float

from equipot import units
from equipot.config import nearest


def autocorrelation(
    series: Float[np.ndarray, "steps *components"], lags: int, biased: bool = False
) -> Float[np.ndarray, " lags_and_zero"]:
    """C_k = ⟨X(0)·X(k)⟩ for k = 0 … lags, summed over all components.

    By FFT (Wiener and Khinchin), padded to at least steps + lags so that nothing wraps around.
    Lag k is divided by steps − k (unbiased), or by steps, which tapers it with a triangle.
    The mean is not removed.
    """
    steps = len(series)
    _check_lags(steps, lags)
    length = 1 << (steps + lags - 1).bit_length()
    columns = series.reshape(steps, -1)
    total = np.zeros(length)
    for column in columns.T:  # one at a time: the padded transform of a large cell would not fit
        spectrum = np.fft.rfft(column, n=length)
        total += np.fft.irfft(spectrum.real**2 + spectrum.imag**2, n=length)
    return total[: lags + 1] / _counts(steps, lags, biased)


def direct_autocorrelation(
    series: Float[np.ndarray, "steps *components"], lags: int, biased: bool = False
) -> Float[np.ndarray, " lags_and_zero"]:
    """The same as `autocorrelation` by its definition, a double sum: slow, and the oracle of the tests."""
    steps = len(series)
    _check_lags(steps, lags)
    columns = series.reshape(steps, -1)
    sums = [np.sum(columns[: steps - k] * columns[k:]) for k in range(lags + 1)]
    return np.array(sums) / _counts(steps, lags, biased)


def _counts(steps: int, lags: int, biased: bool) -> np.ndarray:
    return np.full(lags + 1, float(steps)) if biased else steps - np.arange(lags + 1, dtype=float)


def _check_lags(steps: int, lags: int) -> None:
    if not 1 <= lags < steps:
        raise ValueError(
            f"correlation to lag {lags} of a series of {steps} entries: expected 1 to {steps - 1} lags. "
            "Run longer, or ask for a coarser resolution."
        )


@dataclass(frozen=True)
class Window:
    """A lag window w(t/T_m), even, w(0) = 1 so that areas are kept.

    It multiplies the correlation function and so convolves the spectrum with its transform.
    """

    shape: Callable[[np.ndarray], np.ndarray]  # w on 0 ≤ t/T_m ≤ 1
    width: float  # full width at half maximum of the transform, in ω T_m
    power: float  # (1/T_m) ∫ w² dt over both sides: the variance it lets through

    def resolution(self, depth: float) -> float:
        """Full width at half maximum (cm⁻¹) that a window of depth T_m (fs) gives to a sharp line."""
        return self.width / (2 * pi * units.light * depth)

    def depth(self, resolution: float) -> float:
        """T_m (fs) that gives the resolution (cm⁻¹)."""
        return self.width / (2 * pi * units.light * resolution)

    def lags(self, resolution: float, stride: float) -> int:
        """The least number of lags of `stride` fs that reaches the resolution."""
        return max(2, ceil(self.depth(resolution) / stride - 1e-9))


_GAUSSIAN = 4.0  # T_m in units of s in exp(−t²/2s²): cut at e⁻⁸
_EXPONENTIAL = 6.0  # T_m in units of τ in exp(−t/τ): cut at e⁻⁶

WINDOWS: Mapping[str, Window] = MappingProxyType(
    {
        "none": Window(np.ones_like, 3.790988534, 2.0),
        "bartlett": Window(lambda x: 1 - x, 5.566229513, 2 / 3),
        "hann": Window(lambda x: 0.5 + 0.5 * np.cos(pi * x), 2 * pi, 0.75),
        "blackman": Window(
            lambda x: 0.42 + 0.5 * np.cos(pi * x) + 0.08 * np.cos(2 * pi * x), 7.221892673, 0.6092
        ),
        "gaussian": Window(
            lambda x: np.exp(-0.5 * (_GAUSSIAN * x) ** 2),
            2 * np.sqrt(2 * np.log(2)) * _GAUSSIAN,
            np.sqrt(pi) / _GAUSSIAN,
        ),
        "exponential": Window(lambda x: np.exp(-_EXPONENTIAL * x), 2 * _EXPONENTIAL, 1 / _EXPONENTIAL),
    }
)


def get_window(name: str) -> Window:
    """A lag window by name."""
    if name not in WINDOWS:
        raise ValueError(f"lag window {name!r} is not known.{nearest(name, list(WINDOWS))}")
    return WINDOWS[name]
