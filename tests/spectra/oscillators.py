"""Trajectories with known answers."""

import numpy as np
from scipy.linalg import expm
from scipy.signal import lfilter

from equipot import units
from equipot.spectra.line import BOLTZMANN


def omega(wavenumber):
    """Angular frequency, 1/fs."""
    return 2 * np.pi * units.light * wavenumber


def verlet(wavenumber, step, steps, start=1.0):
    """Position and velocity of a unit-mass harmonic oscillator at a turning point, by velocity Verlet."""
    k = omega(wavenumber) ** 2
    x, v, xs, vs = start, 0.0, np.empty(steps), np.empty(steps)
    for t in range(steps):
        xs[t], vs[t] = x, v
        half = v - 0.5 * step * k * x
        x += step * half
        v = half - 0.5 * step * k * x
    return xs, vs


def langevin(wavenumber, gamma, temperature, stride, steps, rng):
    """Mass-weighted coordinate and velocity of a damped oscillator, propagated exactly."""
    w, kt = omega(wavenumber), BOLTZMANN * temperature
    propagator = expm(stride * np.array([[0.0, 1.0], [-(w**2), -gamma]]))
    stationary = np.diag([kt / w**2, kt])
    noise = np.linalg.cholesky(stationary - propagator @ stationary @ propagator.T)
    kicks = noise @ rng.normal(size=(2, steps))
    kicks[:, 0] = np.sqrt(np.diag(stationary)) * rng.normal(size=2)
    values, vectors = np.linalg.eig(propagator)
    inverse = np.linalg.inv(vectors)
    modes = [lfilter([1.0], [1.0, -v], row @ kicks) for v, row in zip(values, inverse, strict=True)]
    return np.real(vectors @ np.array(modes))
