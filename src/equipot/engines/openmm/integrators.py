"""Integrators of OpenMM whose velocities belong to the time of the positions.

Those that OpenMM ships are leapfrog schemes: their velocities are half a step behind. Kinetic energies, spectra of
velocities and the conserved energy need both at one time, so the same steps are written out here with two half kicks,
at one evaluation of the forces a step.
"""

import math

import openmm


def velocity_verlet(dt: float) -> openmm.CustomIntegrator:
    """Half a kick, a drift, half a kick (Swope et al., J. Chem. Phys. 76, 637 (1982)); dt in ps."""
    out = openmm.CustomIntegrator(dt)
    out.addUpdateContextState()
    out.addComputePerDof("v", "v + 0.5*dt*f/m")
    out.addComputePerDof("x", "x + dt*v")
    out.addComputePerDof("v", "v + 0.5*dt*f/m")
    return out


def langevin(dt: float, friction: float, kT: float, seed: int) -> openmm.CustomIntegrator:
    """BAOAB (Leimkuhler, Matthews, Appl. Math. Res. Express 2013, 34); dt in ps, friction in 1/ps, kT as energies.

    OpenMM's LangevinMiddleIntegrator visits the same positions; its velocities are those between two half kicks.
    """
    out = openmm.CustomIntegrator(dt)
    decay = math.exp(-friction * dt)
    out.addGlobalVariable("decay", decay)
    out.addGlobalVariable("noise", math.sqrt(kT * (1 - decay**2)))
    out.addUpdateContextState()
    out.addComputePerDof("v", "v + 0.5*dt*f/m")
    out.addComputePerDof("x", "x + 0.5*dt*v")
    out.addComputePerDof("v", "decay*v + noise*gaussian/sqrt(m)")
    out.addComputePerDof("x", "x + 0.5*dt*v")
    out.addComputePerDof("v", "v + 0.5*dt*f/m")
    out.setRandomNumberSeed(seed)
    return out
