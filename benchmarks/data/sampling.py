"""Geometries of ethanol from GFN2-xTB Langevin dynamics.

Tight-binding dynamics is cheap and visits what DFT dynamics visits; the labels are DFT, so the sampler only
decides where they are taken. Most frames are hotter than the dynamics a model will run: the model then
interpolates.
"""

from collections.abc import Iterator

import numpy as np
from ase import Atoms, units
from ase.build import molecule
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.optimize import BFGS
from tblite.ase import TBLite

TIME_STEP = 0.5  # fs
FRICTION = 0.02  # 1/fs
EQUILIBRATION = 1000  # steps, 0.5 ps: ten times the memory of the thermostat

DIHEDRALS = {"trans": 180.0, "gauche+": 60.0, "gauche-": -60.0}  # C-C-O-H, degrees
CARBON_1, CARBON_2, OXYGEN, HYDROXYL = 0, 1, 2, 3  # order of the atoms, with CH2 and CH3 after it
SHARES = {300: 0.35, 600: 0.50, 1000: 0.15}  # part of the frames at each temperature, K


def conformer(dihedral: float) -> Atoms:
    """Ethanol near the conformer with this C-C-O-H angle in degrees, relaxed with GFN2-xTB."""
    atoms = molecule("CH3CH2OH")
    atoms.set_dihedral(CARBON_1, CARBON_2, OXYGEN, HYDROXYL, dihedral, indices=[HYDROXYL])
    atoms.calc = TBLite(method="GFN2-xTB", verbosity=0)
    BFGS(atoms, logfile=None).run(fmax=1e-3, steps=200)
    return atoms


def curvature(minimum: Atoms, step: float = 0.005) -> np.ndarray:
    """GFN2-xTB Hessian by differences of forces, eV/Å², [3 atoms, 3 atoms]."""
    rows = []
    for coordinate in range(3 * len(minimum)):
        ends = [minimum.copy(), minimum.copy()]
        for atoms, sign in zip(ends, (1, -1), strict=True):
            atoms.calc = minimum.calc
            atoms.positions.reshape(-1)[coordinate] += sign * step
        rows.append((ends[1].get_forces() - ends[0].get_forces()).ravel() / (2 * step))
    hessian = np.stack(rows)
    return (hessian + hessian.T) / 2


def trajectory(start: Atoms, temperature: float, stride: int, rng: np.random.Generator) -> Iterator[Atoms]:
    """One frame every `stride` steps, without end; the centre of mass at the origin."""
    atoms = start.copy()
    atoms.calc = TBLite(method="GFN2-xTB", verbosity=0)
    MaxwellBoltzmannDistribution(atoms, temperature_K=temperature, rng=rng)
    dynamics = Langevin(
        atoms,
        TIME_STEP * units.fs,
        temperature_K=temperature,
        friction=FRICTION / units.fs,
        fixcm=False,  # exact for a small molecule; the drift is taken out of every frame
        rng=rng,
    )
    dynamics.run(EQUILIBRATION)
    while True:
        dynamics.run(stride)
        frame = Atoms(atoms.numbers, atoms.positions - atoms.get_center_of_mass())
        frame.info["config_type"] = f"md_{temperature:.0f}K"
        yield frame


def fingerprint(atoms: Atoms) -> np.ndarray:
    """Sorted interatomic distances of each pair of elements, Å: blind to motion and to the order of atoms."""
    first, second = np.triu_indices(len(atoms), k=1)
    distances = np.linalg.norm(atoms.positions[first] - atoms.positions[second], axis=1)
    pair = atoms.numbers[first] * atoms.numbers[second]  # unique for H, C, O
    return distances[np.lexsort((distances, pair))]


def sample(count: int, stride: int, seed: int, known: list[Atoms], tolerance: float) -> list[Atoms]:
    """`count` frames from every conformer and temperature, shuffled.

    A frame is left out when all its sorted distances agree within `tolerance` (Å) with a frame of `known` or
    with one already taken.
    """
    rng = np.random.default_rng(seed)
    prints = [fingerprint(atoms) for atoms in known]
    frames: list[Atoms] = []
    for dihedral in DIHEDRALS.values():
        start = conformer(dihedral)
        for temperature, share in SHARES.items():
            wanted = round(count * share / len(DIHEDRALS))
            run = trajectory(start, temperature, stride, rng)
            frames += take(run, wanted, prints, tolerance)
    return [frames[i] for i in rng.permutation(len(frames))]


def take(run: Iterator[Atoms], count: int, prints: list[np.ndarray], tolerance: float) -> list[Atoms]:
    """The next `count` frames that differ from all of `prints`, which they join."""
    taken: list[Atoms] = []
    for frame in run:
        new = fingerprint(frame)
        if prints and np.abs(np.stack(prints) - new).max(axis=1).min() < tolerance:
            continue
        prints.append(new)
        taken.append(frame)
        if len(taken) == count:
            return taken
    return taken
