"""Trajectories as H5MD 1.1, a layout of HDF5 for molecular dynamics that VMD, MDAnalysis and others know.

de Buyl, Colberg and Höfling, Comput. Phys. Commun. 185, 1546 (2014).

particles/replica-000     species, mass, box, position, velocity; charge and spin as attributes
observables/replica-000   energy, dipole, polarizability, and whatever else was recorded
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from jaxtyping import Float, Int

from equipot import units

#: Å/fs of 1 ASE unit of velocity, Å √(eV/amu)
VELOCITY = units.acceleration**0.5
_UNITS = {
    "position": "Angstrom", "velocity": "Angstrom fs-1", "mass": "u", "time": "fs", "box": "Angstrom", "energy": "eV",
    "dipole": "e Angstrom", "polarizability": "Angstrom+3", "quantum_kinetic_energy": "eV",
}  # fmt: skip
_OWN = ("numbers", "positions", "momenta", "masses")  # arrays of ASE that have a place of their own


@dataclass(frozen=True, kw_only=True, eq=False)
class Stretch:
    """Consecutive frames of one or several copies of a system."""

    atoms: tuple[Atoms, ...]  # one per replica: what does not change
    step: Int[np.ndarray, " frames"]
    time: Float[np.ndarray, " frames"]  # fs
    positions: Float[np.ndarray, "frames replicas atoms 3"]  # Å
    velocities: Float[np.ndarray, "frames replicas atoms 3"]  # Å/fs
    observables: Mapping[str, np.ndarray] = field(default_factory=dict)  # [frames, replicas, ...]
    cells: Float[np.ndarray, "frames 3 3"] | None = None  # Å, rows; None: that of the atoms

    def __len__(self) -> int:
        return len(self.step)

    def first(self, count: int) -> "Stretch":
        """The first `count` frames."""
        return replace(
            self,
            **{name: getattr(self, name)[:count] for name in ("step", "time", "positions", "velocities")},
            observables={name: values[:count] for name, values in self.observables.items()},
            cells=None if self.cells is None else self.cells[:count],
        )

    def frames(self) -> Iterator[tuple[Atoms, dict[str, np.ndarray]]]:
        """Structure and observables of every frame, one replica after the other."""
        for replica, still in enumerate(self.atoms):
            for k in range(len(self)):
                atoms = still.copy()
                atoms.positions[:] = self.positions[k, replica]
                atoms.set_velocities(self.velocities[k, replica] / VELOCITY)
                if self.cells is not None:
                    atoms.set_cell(self.cells[k])
                atoms.info.update(step=int(self.step[k]), time=float(self.time[k]))
                yield atoms, {name: values[k, replica] for name, values in self.observables.items()}


def joined(parts: Sequence[Stretch]) -> Stretch:
    """One after the other; they hold the same system and the same observables."""
    first = parts[0]

    def all_of(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for part in parts])

    return replace(
        first,
        **{name: all_of(name) for name in ("step", "time", "positions", "velocities")},
        observables={n: np.concatenate([part.observables[n] for part in parts]) for n in first.observables},
        cells=None if first.cells is None else all_of("cells"),
    )


def encoded(stretch: Stretch) -> bytes:
    """The file, whole: HDF5 that is never open for writing cannot be left broken."""
    memory = io.BytesIO()
    with hdf5().File(memory, "w") as file:
        about = file.create_group("h5md")
        about.attrs["version"] = np.array([1, 1], dtype=np.int32)
        for role in ("author", "creator"):
            about.create_group(role).attrs.update(name="equipot", version="1")
        step = file.create_dataset("step", data=stretch.step)
        time = file.create_dataset("time", data=stretch.time)
        time.attrs["unit"] = _UNITS["time"]

        def element(group: Any, name: str, values: np.ndarray) -> None:
            place = group.create_group(name)
            place["step"], place["time"] = step, time
            place.create_dataset("value", data=values).attrs["unit"] = _UNITS.get(name, "")

        for replica, atoms in enumerate(stretch.atoms):
            particles = file.create_group(f"particles/replica-{replica:03d}")
            _still(particles, atoms)
            if stretch.cells is None:
                particles["box"].create_dataset("edges", data=atoms.cell.array).attrs["unit"] = _UNITS["box"]
            else:
                element(particles["box"], "edges", stretch.cells)
            element(particles, "position", stretch.positions[:, replica])
            element(particles, "velocity", stretch.velocities[:, replica])
            observables = file.create_group(f"observables/replica-{replica:03d}")
            for name, values in sorted(stretch.observables.items()):
                element(observables, name, values[:, replica])
        del file["step"], file["time"]  # the elements keep them
    return memory.getvalue()


def _still(particles: Any, atoms: Atoms) -> None:
    """What does not change along the way."""
    particles.create_dataset("species", data=atoms.numbers)
    particles.create_dataset("mass", data=atoms.get_masses()).attrs["unit"] = _UNITS["mass"]
    for name in sorted(set(atoms.arrays) - set(_OWN)):
        particles.create_dataset(name, data=atoms.arrays[name])
    particles.attrs.update({name: atoms.info[name] for name in ("charge", "spin") if name in atoms.info})
    box = particles.create_group("box")
    box.attrs["dimension"] = 3
    box.attrs["boundary"] = ["periodic" if periodic else "none" for periodic in atoms.pbc]


def read_h5md(path: str | Path) -> Stretch:
    """What `encoded` made; ValueError for anything else."""
    h5py = hdf5()
    try:
        with h5py.File(path, "r") as file:
            if file["h5md/creator"].attrs["name"] != "equipot":
                raise KeyError("not written by equipot")
            return _decoded(file)
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"{path}: not a trajectory of equipot in HDF5 (H5MD), or damaged ({error}). Write those of others as"
            " extended XYZ."
        ) from None


def _decoded(file: Any) -> Stretch:
    names = sorted(file["particles"])
    particles = [file["particles"][name] for name in names]
    observables = [file["observables"][name] for name in names]
    edges = particles[0]["box/edges"]
    return Stretch(
        atoms=tuple(_atoms(group) for group in particles),
        step=particles[0]["position/step"][:],
        time=particles[0]["position/time"][:],
        positions=np.stack([group["position/value"][:] for group in particles], axis=1),
        velocities=np.stack([group["velocity/value"][:] for group in particles], axis=1),
        observables={
            name: np.stack([group[name]["value"][:] for group in observables], axis=1)
            for name in observables[0]
        },
        cells=edges["value"][:] if isinstance(edges, Mapping) else None,
    )


def _atoms(group: Any) -> Atoms:
    periodic = [str(word) == "periodic" for word in group["box"].attrs["boundary"]]
    edges = group["box/edges"]
    cell = edges["value"][0] if isinstance(edges, Mapping) else edges[:]
    atoms = Atoms(group["species"][:], masses=group["mass"][:], cell=cell, pbc=periodic)
    atoms.info = {name: float(value) for name, value in group.attrs.items()}
    for name in (n for n in group if n not in ("species", "mass", "box", "position", "velocity")):
        atoms.new_array(name, group[name][:])
    return atoms


def count(path: str | Path) -> int:
    """Frames in a file, without reading them."""
    h5py = hdf5()
    try:
        with h5py.File(path, "r") as file:
            return len(next(iter(file["particles"].values()))["position/step"])
    except (OSError, KeyError, StopIteration) as error:
        raise ValueError(f"{path}: not a trajectory in HDF5 (H5MD), or damaged ({error}).") from None


def hdf5() -> Any:
    """The package h5py, which is optional."""
    try:
        import h5py
    except ImportError:
        raise ValueError(
            "trajectories in HDF5 need the package h5py: pip install 'equipot[hdf5]'. Or take trajectory=extxyz."
        ) from None
    return h5py
