"""How alike two spectra are: overlap, spectral information similarity, and the distance between them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d

SPACING = 2.0  # cm⁻¹, of the common grid
_SMOOTHING = 10.0  # cm⁻¹, standard deviation before the information similarity
_FLOOR = 1e-10
_SCALES = np.linspace(0.9, 1.1, 401)


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Similarities of two spectra of area one on one grid, and the range they were taken over."""

    pearson: float  # good only where lines overlap
    cosine: float
    sis: float  # 1/(1 + SID) after smoothing, McGill et al. 2021; blind beyond 3 standard deviations
    w1: float  # cm⁻¹, earth mover's distance: the one that says how far
    scale: float  # best uniform factor on the wavenumbers of the second; far from one: units or time step
    low: float  # cm⁻¹
    high: float  # cm⁻¹


def compare(
    first: tuple[Float[np.ndarray, " bins"], Float[np.ndarray, " bins"]],
    second: tuple[Float[np.ndarray, " others"], Float[np.ndarray, " others"]],
    low: float,
    high: float,
) -> Scores:
    """Scores of two spectra, each wavenumbers (ascending) and values of the same broadening."""
    grid = np.arange(low, high + SPACING / 2, SPACING)
    a, b = _on_grid(first, grid, 1.0), _on_grid(second, grid, 1.0)

    distances = [_earth_mover(a, _on_grid(second, grid, float(factor))) for factor in _SCALES]
    return Scores(
        pearson=float(np.corrcoef(a, b)[0, 1]),
        cosine=float(a @ b / np.sqrt((a @ a) * (b @ b))),
        sis=1 / (1 + _divergence(a, b)),
        w1=_earth_mover(a, b),
        scale=float(_SCALES[np.argmin(distances)]),
        low=low,
        high=high,
    )


def broaden(
    wavenumber: Float[np.ndarray, " lines"],
    value: Float[np.ndarray, " lines"],
    grid: Float[np.ndarray, " bins"],
    fwhm: float,
) -> Float[np.ndarray, " bins"]:
    """Lines as Gaussians of one width, each with its value as its area."""
    sigma = fwhm / (2 * np.sqrt(2 * np.log(2)))
    shapes = np.exp(-0.5 * ((grid[:, None] - wavenumber) / sigma) ** 2)
    return shapes @ value / (sigma * np.sqrt(2 * np.pi))


def broadened(
    spectrum: tuple[Float[np.ndarray, " bins"], Float[np.ndarray, " bins"]], fwhm: float
) -> tuple[Float[np.ndarray, " others"], Float[np.ndarray, " others"]]:
    """On an even grid, convolved with a Gaussian of this width (cm⁻¹), gaps left out; unchanged for no width."""
    wavenumber, value = (x[np.isfinite(spectrum[1])] for x in spectrum)
    if fwhm <= 0:
        return wavenumber, value
    sigma = fwhm / (2 * np.sqrt(2 * np.log(2)))
    spacing = min(SPACING, sigma / 4)
    grid = np.arange(wavenumber[0], wavenumber[-1] + spacing / 2, spacing)
    return grid, gaussian_filter1d(np.interp(grid, wavenumber, value), sigma / spacing, mode="constant")


def _on_grid(spectrum: tuple[np.ndarray, np.ndarray], grid: np.ndarray, scale: float) -> np.ndarray:
    wavenumber, value = spectrum
    finite = np.isfinite(value)
    y = np.interp(grid, scale * wavenumber[finite], value[finite], left=0.0, right=0.0)
    area = y.sum() * SPACING
    if area <= 0:
        raise ValueError(
            f"nothing to compare between {grid[0]:g} and {grid[-1]:g} cm⁻¹: the area of a spectrum is "
            f"{area:g}. Choose a range where both have lines."
        )
    return y / area


def _earth_mover(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sum(np.abs(np.cumsum(a - b))) * SPACING * SPACING)


def _divergence(a: np.ndarray, b: np.ndarray) -> float:
    """Σ a ln(a/b) + b ln(b/a), smoothed, floored and normalized."""
    smooth = [np.maximum(gaussian_filter1d(x, _SMOOTHING / SPACING), _FLOOR) for x in (a, b)]
    p, q = (x / x.sum() for x in smooth)
    return float(np.sum((p - q) * np.log(p / q)))
