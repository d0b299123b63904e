"""Molecular dynamics with any of the engines: one loop that samples, writes, guards and can be killed at any moment.

An NVT phase brings every copy to equilibrium; then rigid motion is taken out and NVE begins, so that spectra have
3N − 6 degrees of freedom. Everything needed to go on is in the run folder: the same call continues a run that was
killed, and with ASE an NVE, Langevin or Bussi run continues to the last bit.
"""

import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from ase import Atoms

from equipot import units
from equipot.deploy.atomic import write_atomically
from equipot.engines.catalog import ENGINES
from equipot.engines.guard import DynamicsStopped, Guard, keep
from equipot.engines.header import conservation, differences, header, read_header
from equipot.engines.momenta import (
    degrees_of_freedom,
    kinetic_energies,
    maxwell_boltzmann,
    without_rigid_motion,
)
from equipot.engines.mover import Broken, Mover, Place, Sample
from equipot.engines.recording import Checkpoint, Recorder
from equipot.engines.replicas import replicated
from equipot.engines.settings import Dynamics
from equipot.engines.trajectories import files
from equipot.potential import Potential

__all__ = ["Dynamics", "DynamicsStopped", "run_dynamics"]

#: what a sample holds of the target of a model
RECORDED = {"dipole": "dipole", "dipole_rate": "born_charges", "polarizability": "polarizability"}


def run_dynamics(
    potential: Potential,
    start: Atoms | Sequence[Atoms],
    settings: Dynamics,
    folder: str | Path,
    also: Collection[str] | None = None,
    progress: Callable[[int, int], None] = lambda step, total: None,
    say: Callable[[str], None] = lambda text: None,
) -> Path:
    """Run dynamics in a folder, or go on with the run that is there; returns the folder.

    Args:
        potential: energy, and whatever is recorded.
        start: structure of every replica, or several of one composition that the replicas take in turn.
        settings: ensemble, times, limits.
        folder: md.json, thermo.csv, restart.json and one trajectory per replica.
        also: properties of the system recorded in every sample; None: dipole, rate of the dipole (from Born charges)
            and polarizability if the model has them.
        progress: called with the steps done and all steps.
        say: called with a line when the run was continued or had been finished before.

    Raises ValueError when the folder holds a run of other settings or the memory would not suffice, and DynamicsStopped
    when it blows up.
    """
    ENGINES[settings.engine].require()
    ENGINES[settings.engine].check(settings)
    atoms = replicated(start, settings)
    recorded = (
        tuple(n for n, source in _kept(settings).items() if source in potential.targets)
        if also is None
        else tuple(also)
    )
    run = _Run(potential, atoms, settings, Path(folder), recorded)
    if run.claim() == "finished":
        say(f"{folder}: this run is finished; nothing is left to do.")
        progress(run.total, run.total)
        return run.folder
    if run.restore():
        say(
            f"{folder}: going on after step {run.done} of {run.total}, with {run.frames} frames of the trajectory."
        )
    run.go(progress)
    return run.folder


def _kept(settings: Dynamics) -> dict[str, str]:
    """Without the rate of the dipole for ring polymers: the product of averages over the beads is no average."""
    return {n: source for n, source in RECORDED.items() if settings.beads == 1 or n != "dipole_rate"}


def mover(potential: Potential, atoms: Atoms, settings: Dynamics, guard: Guard) -> Mover:
    """The engine that the settings name, with the atoms in it. Engines are imported when they are asked for."""
    match settings.engine:
        case "ase":
            from equipot.engines.ase_mover import AseMover

            return AseMover(potential, atoms, settings, guard)
        case "openmm":
            from equipot.engines.openmm.mover import OpenMMMover

            return OpenMMMover(potential, atoms, settings, guard)
        case "torchsim":
            from equipot.engines.torchsim.mover import TorchSimMover

            return TorchSimMover(potential, atoms, settings, guard)
        case "lammps":
            from equipot.engines.lammps.mover import LammpsMover

            return LammpsMover(potential, atoms, settings, guard)
        case "ipi":
            from equipot.engines.ipi.mover import RingMover

            return RingMover(potential, atoms, settings, guard)


class _Run:
    """A run folder, the atoms that move, and the engine that moves them."""

    def __init__(
        self, potential: Potential, atoms: Atoms, settings: Dynamics, folder: Path, recorded: tuple[str, ...]
    ) -> None:
        self.settings, self.folder, self.atoms, self.phases = settings, folder, atoms, settings.phases()
        self.shape = (settings.replicas, len(atoms) // settings.replicas, 3)
        self.masses = atoms.get_masses()[: self.shape[1]]
        self.total = sum(phase.steps for phase in self.phases)
        self.recorded = recorded
        highest = settings.max_temperature or max(5 * settings.temperature, settings.temperature + 1000)
        self.mover = mover(
            potential,
            atoms,
            settings,
            Guard(temperature=highest, force=settings.max_force, masses=self.masses),
        )
        self.header = header(potential, atoms, settings, self.phases, recorded, self.masses, self.mover.name)
        self.phase, self.step = 0, 0
        self.saved: Checkpoint | None = None
        self.moment = time.monotonic()  # of the last restart file

    @property
    def done(self) -> int:
        """Steps behind us."""
        return sum(phase.steps for phase in self.phases[: self.phase]) + self.step

    @property
    def frames(self) -> int:
        """Frames of each replica up to this step."""
        return self.step // self.settings.stride + 1 if self._last else 0

    def claim(self) -> str:
        """Take the folder: "new", "running", "stopped" or "finished"; refuse one that holds something else."""
        path = self.folder / "md.json"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            _refuse_foreign(self.folder)
            self._write_header("running")
            return "new"
        found = read_header(path)
        differing = differences(found, json.loads(json.dumps(self.header)))
        if differing:
            raise ValueError(
                f"{self.folder} holds another run: {'; '.join(differing)}. Give another folder, or the settings of the"
                " run that is there to continue it."
            )
        return found["status"]

    def restore(self) -> bool:
        """Read the last restart file; False when there is none and the run begins."""
        self.saved = Checkpoint.read(self.folder)
        if self.saved is None:
            return False
        self.phase, self.step = self.saved.phase, self.saved.step
        return True

    def go(self, progress: Callable[[int, int], None]) -> None:
        """All that is left of the run."""
        size = self.shape[1]
        copies = [self.atoms[k * size : (k + 1) * size] for k in range(self.shape[0])]
        sizes = None if self.saved is None else self.saved.sizes
        recorder = Recorder(self.folder, copies, sizes, self.settings.trajectory)
        try:
            if self.saved is None:
                self._begin(recorder, self._start())
            else:
                place = Place(positions=np.array(self.saved.positions), momenta=np.array(self.saved.momenta))
                self._set(place, self.saved.memory)
            while True:
                self._integrate(recorder, progress)
                if self.phase + 1 == len(self.phases):
                    break
                self.phase, self.step = self.phase + 1, 0
                self._begin(recorder, self.mover.place())
            self._save(recorder)
        finally:
            recorder.close()
            self.mover.close()
        text = (self.folder / "thermo.csv").read_text(encoding="utf-8")
        self._write_header("finished", conservation(text, self.shape[1]))

    def _start(self) -> Place:
        """The structures, with momenta drawn for them."""
        rng, temperature = np.random.default_rng(self.settings.seed), self.settings.temperature
        return Place(
            positions=self.atoms.positions.reshape(self.shape).copy(),
            momenta=maxwell_boltzmann(self.masses, temperature, self.shape[0], rng),
        )

    def _begin(self, recorder: Recorder, place: Place) -> None:
        """A phase: rigid motion taken out, its first sample, and a restart file that stands after both."""
        if self.done == 0 or self.phases[self.phase].thermostat is None:
            rotation = not self.atoms.pbc.any()
            clean = without_rigid_motion(place.momenta, place.positions, self.masses, rotation)
            place = replace(place, momenta=clean)
        self._set(place, None)
        self._record(recorder)
        self._save(recorder)

    def _set(self, place: Place, memory: Mapping[str, Any] | None) -> None:
        phase = self.phases[self.phase]
        self.freedom = degrees_of_freedom(phase, self.atoms, self.shape[1])
        computed = tuple(RECORDED.get(name, name) for name in self.recorded)
        self.mover.begin(phase, place, computed if self._last else (), memory)

    def _integrate(self, recorder: Recorder, progress: Callable[[int, int], None]) -> None:
        phase, stride = self.phases[self.phase], self.settings.stride
        while self.step < phase.steps:
            steps = min(stride - self.step % stride, phase.steps - self.step, self.mover.pace)
            sampling = (self.step + steps) % stride == 0
            try:
                self.mover.advance(steps, sampling)
            except Broken as broken:
                self._stop(broken)
            self.step += steps
            if sampling:
                self._record(recorder)
            if time.monotonic() - self.moment >= self.settings.checkpoint:
                self._save(recorder)
            progress(self.done, self.total)

    @property
    def _last(self) -> bool:
        """Whether this phase is the production."""
        return self.phase + 1 == len(self.phases)

    def _record(self, recorder: Recorder) -> None:
        sample, phase, moment = self.mover.sample(), self.phases[self.phase], self.step * self.settings.dt
        kinetic = float(kinetic_energies(sample.place.momenta, self.masses).mean())
        potential = float(sample.energy.mean())
        temperature, total = 2 * kinetic / (self.freedom * units.kB), potential + kinetic
        conserved = None if sample.transferred is None else total - sample.transferred
        recorder.thermo((phase.name, self.step, moment, temperature, potential, kinetic, total, conserved))
        asked = {RECORDED.get(name, name) for name in self.recorded}
        own = {name: row for name, row in sample.recorded.items() if name not in asked}  # the engine adds it
        if self._last:
            recorder.frames(
                sample.place.positions,
                sample.place.momenta,
                {"time": moment, "step": self.step},
                {"energy": sample.energy, **{name: self._row(name, sample) for name in self.recorded}, **own},
                sample.cell,
            )

    def _row(self, name: str, sample: Sample) -> np.ndarray:
        """One row for every replica; of Born charges the rate of the dipole, Σ Z*_i v_i, e·Å/fs."""
        value = sample.recorded[RECORDED.get(name, name)]
        if name != "dipole_rate":
            return value
        velocities = sample.place.momenta / self.masses[:, None] * units.acceleration**0.5
        return np.einsum("riab,rib->ra", value, velocities)

    def _save(self, recorder: Recorder) -> None:
        place = self.mover.place()
        Checkpoint(
            phase=self.phase,
            step=self.step,
            positions=place.positions.tolist(),
            momenta=place.momenta.tolist(),
            memory=self.mover.memory(),
            sizes=recorder.sizes(),
        ).write(self.folder)
        self.moment = time.monotonic()

    def _stop(self, broken: Broken) -> NoReturn:
        good, bad = (_at(self.atoms, place) for place in (broken.good, broken.bad))
        size, step, atom = self.shape[1], self.step + broken.step, broken.atom
        chosen = slice(None) if atom is None else slice(atom // size * size, (atom // size + 1) * size)
        path = self.folder / "stopped.extxyz"
        keep(path, [good[chosen], bad[chosen]])
        self._write_header("stopped")
        who = (
            ""
            if atom is None
            else f"replica {atom // size}, atom {atom % size} ({self.atoms.symbols[atom]}): "
        )
        raise DynamicsStopped(
            f"{self.folder}: stopped at step {step} of {self.phases[self.phase].name},"
            f" {step * self.settings.dt:g} fs: {who}{broken.what}.\n"
            f"The last good frame and this one are in {path}. The model has left what it was trained on, or the time"
            " step is too long: label that frame and train with it, or take a shorter step or a lower temperature."
        ) from None

    def _write_header(self, status: str, conservation: dict[str, float] | None = None) -> None:
        document = {**self.header, "status": status, "conservation": conservation}
        write_atomically(self.folder / "md.json", (json.dumps(document, indent=1) + "\n").encode())


def _at(atoms: Atoms, place: Place) -> Atoms:
    """A copy of the atoms in another place, without a calculator."""
    out = atoms.copy()
    out.positions[:] = place.positions.reshape(-1, 3)
    out.set_momenta(place.momenta.reshape(-1, 3))
    return out


def _refuse_foreign(folder: Path) -> None:
    """Files of the names that a run writes, and no md.json that says whose they are."""
    there = [p.name for p in (*files(folder), folder / "thermo.csv") if p.exists()]
    if there:
        raise ValueError(
            f"{folder} has no md.json but holds {', '.join(sorted(there)[:3])}, which a run would overwrite."
            " Give another folder, or move these files away."
        )
