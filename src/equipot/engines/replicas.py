"""The copies that a run starts from."""

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from equipot.batch import ATOMIC_VECTORS, CONDITION_WORDS
from equipot.data.h5md import hdf5
from equipot.engines.isotopes import masses_of
from equipot.engines.neighborhood import state
from equipot.engines.settings import Dynamics

LONGEST_STEP = 2.0  # fs, with hydrogen in the system


def replicated(start: Atoms | Sequence[Atoms], settings: Dynamics) -> Atoms:
    """All replicas one after another; refuse what would not be the run that was meant."""
    if settings.trajectory == "hdf5":
        hdf5()  # refuses where the package is missing
    starts = [start] if isinstance(start, Atoms) else list(start)
    if not starts or len(starts) > settings.replicas:
        raise ValueError(
            f"{len(starts)} starting structures for {settings.replicas} replicas. Give one to start all of them, or at"
            f" most as many as there are replicas (replicas={max(len(starts), 1)})."
        )
    for k, atoms in enumerate(starts):
        _check_start(atoms, starts[0], k)
    if settings.replicas > 1 and "bussi" in {phase.thermostat for phase in settings.phases()}:
        raise ValueError(
            f"thermostat bussi with {settings.replicas} replicas: it rescales all velocities by one number and would"
            " couple them. Use langevin, or replicas=1."
        )
    if 1 in starts[0].numbers and settings.dt > LONGEST_STEP and not settings.force_long_step:
        raise ValueError(
            f"dt = {settings.dt:g} fs is too long for hydrogen, whose stretching takes 9 fs. Use 0.5 fs, at most"
            f" {LONGEST_STEP:g}; force_long_step=true if you mean it."
        )
    first, order = starts[0], [starts[k % len(starts)] for k in range(settings.replicas)]
    out = Atoms(
        numbers=np.tile(first.numbers, len(order)),
        positions=np.concatenate([atoms.positions for atoms in order]),
        masses=np.tile(masses_of(first, settings.masses), len(order)),
        cell=first.cell,
        pbc=first.pbc,
    )
    out.info = {name: first.info[name] for name in CONDITION_WORDS if name in first.info}
    for name in (n for n in ATOMIC_VECTORS if all(n in atoms.arrays for atoms in order)):
        out.new_array(name, np.concatenate([atoms.arrays[name] for atoms in order]))
    return out


def _check_start(atoms: Atoms, first: Atoms, index: int) -> None:
    if len(atoms) == 0:
        raise ValueError(f"starting structure {index} has no atoms.")
    if atoms.constraints:
        raise ValueError(
            f"starting structure {index} has constraints, which equipot's dynamics does not keep. Remove them, or run"
            " ASE's own dynamics with equipot.engines.ase.Calculator."
        )
    same = (
        np.array_equal(atoms.numbers, first.numbers)
        and np.array_equal(atoms.get_masses(), first.get_masses())
        and np.array_equal(atoms.cell.array, first.cell.array)
        and np.array_equal(atoms.pbc, first.pbc)
        and state(atoms) == state(first)
    )
    if not same:
        raise ValueError(
            f"starting structure {index} ({atoms.symbols}) differs from the first ({first.symbols}) in its atoms or"
            " their order, masses, cell, charge or multiplicity. Replicas are copies of one system: run the others by"
            " themselves."
        )
