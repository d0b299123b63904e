"""Molecular dynamics of one or many independent copies, with ASE's integrators.

An NVT phase brings every copy to equilibrium; then rigid motion is taken out and NVE begins, so that spectra have
3N − 6 degrees of freedom. Everything needed to go on is in the run folder: the same call continues a run that was
killed, and an NVE or Langevin run continues to the last bit.
"""

import json
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import ase.units
import numpy as np
from ase import Atoms
from ase.md.bussi import Bussi
from ase.md.langevin import Langevin
from ase.md.verlet import VelocityVerlet

from equipot import units
from equipot.deploy.atomic import write_atomically
from equipot.engines.ase import Calculator, NotFiniteError
from equipot.engines.guard import DynamicsStopped, Guard, keep
from equipot.engines.header import conservation, differences, header, read_header
from equipot.engines.momenta import (
    internal_degrees_of_freedom,
    kinetic_energies,
    maxwell_boltzmann,
    without_rigid_motion,
)
from equipot.engines.recording import Checkpoint, Recorder
from equipot.engines.replicas import replicated
from equipot.engines.settings import Dynamics, Phase
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

    Raises ValueError when the folder holds a run of other settings, and DynamicsStopped when it blows up.
    """
    atoms = replicated(start, settings)
    recorded = (
        tuple(n for n, source in RECORDED.items() if source in potential.targets)
        if also is None
        else tuple(also)
    )
    run = _Run(potential, atoms, settings, Path(folder), recorded)
    if run.claim() == "finished":
        say(f"{folder}: this run is finished; nothing is left to do.")
        progress(run.total, run.total)
        return run.folder
    if run.restore():
        say(f"{folder}: going on after step {run.done} of {run.total}.")
    run.go(progress)
    return run.folder


class _Run:
    """A run folder and the atoms that move."""

    def __init__(
        self, potential: Potential, atoms: Atoms, settings: Dynamics, folder: Path, recorded: tuple[str, ...]
    ) -> None:
        self.settings, self.folder, self.atoms, self.phases = settings, folder, atoms, settings.phases()
        self.shape = (settings.replicas, len(atoms) // settings.replicas, 3)
        self.masses = atoms.get_masses()[: self.shape[1]]
        self.rotation = not atoms.pbc.any()
        self.internal = internal_degrees_of_freedom(
            atoms.positions[: self.shape[1]], self.masses, self.rotation
        )
        self.total = sum(phase.steps for phase in self.phases)
        self.calculator = atoms.calc = Calculator(potential, replicas=settings.replicas)
        self.names = {n: self._computed(n) for n in ("energy", *recorded)}
        self.calculator.also = tuple(self.names.values())  # refuses what the model does not have
        self.calculator.also = ()
        highest = settings.max_temperature or max(5 * settings.temperature, settings.temperature + 1000)
        self.guard = Guard(temperature=highest, force=settings.max_force)
        self.header = header(potential, atoms, settings, self.phases, recorded, self.masses)
        self.rng = np.random.default_rng(settings.seed)
        self.phase, self.step, self.transferred = 0, 0, 0.0
        self.sizes: dict[str, int] | None = None
        self.saved = time.monotonic()

    def _computed(self, name: str) -> str:
        """What the calculator is asked for to record this."""
        source = RECORDED.get(name, name)
        per_atom = source == "born_charges"
        return source if per_atom or self.settings.replicas == 1 else f"replica_{source}"

    @property
    def done(self) -> int:
        """Steps behind us."""
        return sum(phase.steps for phase in self.phases[: self.phase]) + self.step

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
        """Set the state of the last restart file; False when there is none and the run begins."""
        saved = Checkpoint.read(self.folder)
        if saved is None:
            return False
        self.phase, self.step, self.transferred = saved.phase, saved.step, saved.transferred
        self.atoms.positions[:] = saved.positions
        self.atoms.set_momenta(np.array(saved.momenta))
        self.rng.bit_generator.state = saved.random
        self.sizes = saved.sizes
        return True

    def go(self, progress: Callable[[int, int], None]) -> None:
        """All that is left of the run."""
        size = self.shape[1]
        copies = [self.atoms[k * size : (k + 1) * size] for k in range(self.shape[0])]
        recorder = Recorder(self.folder, copies, self.sizes)
        try:
            if self.sizes is None:
                self._begin(recorder)
            while True:
                self._integrate(recorder, progress)
                if self.phase + 1 == len(self.phases):
                    break
                self.phase, self.step = self.phase + 1, 0
                self._begin(recorder)
            self._save(recorder)
        finally:
            recorder.close()
        text = (self.folder / "thermo.csv").read_text(encoding="utf-8")
        self._write_header("finished", conservation(text, self.shape[1]))

    def _begin(self, recorder: Recorder) -> None:
        """Momenta at the start of a phase, its first sample, and a restart file that stands after both."""
        if self.done == 0:
            momenta = maxwell_boltzmann(self.masses, self.settings.temperature, self.shape[0], self.rng)
            self.atoms.set_momenta(momenta.reshape(-1, 3))
        if self.done == 0 or self.phases[self.phase].thermostat is None:
            clean = without_rigid_motion(self._momenta, self._positions, self.masses, self.rotation)
            self.atoms.set_momenta(clean.reshape(-1, 3))
        self.transferred = 0.0
        self.calculator.also = self._wanted()
        self.calculator.reset()
        self.atoms.get_forces()
        self._sample(recorder)
        self._save(recorder)

    def _integrate(self, recorder: Recorder, progress: Callable[[int, int], None]) -> None:
        phase, stride = self.phases[self.phase], self.settings.stride
        integrator = self._integrator(phase)
        wanted, before = self._wanted(), self.done - self.step
        self.calculator.also = ()
        forces = self.atoms.get_forces()
        while self.step < phase.steps:
            sampling = (self.step + 1) % stride == 0
            self.calculator.also = wanted if sampling else ()
            forces = self._advance(integrator, forces)
            self.step += 1
            if sampling:
                self._sample(recorder)
            if time.monotonic() - self.saved >= self.settings.checkpoint:
                self._save(recorder)
            progress(before + self.step, self.total)

    def _advance(self, integrator: VelocityVerlet | Langevin, forces: np.ndarray) -> np.ndarray:
        """One step of ASE's integrator, looked at before it is believed."""
        good = self.atoms.positions.copy(), self.atoms.get_momenta()
        try:
            forces = integrator.step(forces)
        except NotFiniteError as error:
            self._stop(good, error.atom, str(error))
        complaint = self.guard.complaint(
            self._momenta, forces.reshape(self.shape), self.masses, self._freedom
        )
        if complaint is not None:
            self._stop(good, *complaint)
        if isinstance(integrator, Bussi):
            self.transferred = integrator.transferred_energy
        return forces

    def _integrator(self, phase: Phase) -> VelocityVerlet | Langevin:
        dt, temperature = self.settings.dt * ase.units.fs, self.settings.temperature
        if phase.thermostat is None:
            return VelocityVerlet(self.atoms, dt)
        if phase.thermostat == "langevin":
            friction = self.settings.friction / ase.units.fs
            return Langevin(
                self.atoms, dt, temperature_K=temperature, friction=friction, rng=self.rng, fixcm=False
            )
        bussi = Bussi(self.atoms, dt, temperature, self.settings.taut * ase.units.fs, rng=self.rng)
        # ASE counts 3N degrees of freedom, but a global rescaling never excites the rigid motions taken out above
        bussi.ndof = self._freedom
        bussi.target_kinetic_energy = 0.5 * units.kB * temperature * bussi.ndof
        bussi.transferred_energy = self.transferred
        return bussi

    @property
    def _freedom(self) -> int:
        """Degrees of freedom of one replica that carry kinetic energy."""
        return (
            3 * self.shape[1] if self.phases[self.phase].thermostat == "langevin" else max(self.internal, 1)
        )

    @property
    def _positions(self) -> np.ndarray:
        return self.atoms.positions.reshape(self.shape)

    @property
    def _momenta(self) -> np.ndarray:
        return self.atoms.get_momenta().reshape(self.shape)

    def _wanted(self) -> tuple[str, ...]:
        """What a sample of this phase needs beside energy and forces."""
        return tuple(self.names.values()) if self.phase + 1 == len(self.phases) else (self.names["energy"],)

    def _sample(self, recorder: Recorder) -> None:
        results, phase = self.calculator.results, self.phases[self.phase]
        kinetic = float(kinetic_energies(self._momenta, self.masses).mean())
        potential = results["energy"] / self.shape[0]
        temperature, moment = 2 * kinetic / (self._freedom * units.kB), self.step * self.settings.dt
        total = potential + kinetic
        conserved = None if phase.thermostat == "langevin" else total - self.transferred
        recorder.thermo((phase.name, self.step, moment, temperature, potential, kinetic, total, conserved))
        if self.phase + 1 == len(self.phases):
            rows = {n: self._rows(n, np.asarray(results[full])) for n, full in self.names.items()}
            recorder.frames(self._positions, self._momenta, {"time": moment, "step": self.step}, rows)

    def _rows(self, name: str, value: np.ndarray) -> np.ndarray:
        """One row for every replica; of Born charges the rate of the dipole, Σ Z*_i v_i, e·Å/fs."""
        if name == "dipole_rate":
            velocities = self._momenta / self.masses[:, None] * units.acceleration**0.5
            return np.einsum("riab,rib->ra", value.reshape(*self.shape, 3), velocities)
        return value if self.shape[0] > 1 else value[None]

    def _save(self, recorder: Recorder) -> None:
        Checkpoint(
            phase=self.phase,
            step=self.step,
            positions=self.atoms.positions.tolist(),
            momenta=self.atoms.get_momenta().tolist(),
            random=dict(self.rng.bit_generator.state),
            transferred=float(self.transferred),
            sizes=recorder.sizes(),
        ).write(self.folder)
        self.saved = time.monotonic()

    def _stop(self, good: tuple[np.ndarray, np.ndarray], atom: int | None, what: str) -> None:
        last = self.atoms.copy()
        last.positions[:], last.arrays["momenta"][:] = good
        size, step = self.shape[1], self.step + 1
        chosen = slice(None) if atom is None else slice(atom // size * size, (atom // size + 1) * size)
        path = self.folder / "stopped.extxyz"
        keep(path, [last[chosen], self.atoms[chosen]])
        self._write_header("stopped")
        who = (
            ""
            if atom is None
            else f"replica {atom // size}, atom {atom % size} ({self.atoms.symbols[atom]}): "
        )
        raise DynamicsStopped(
            f"{self.folder}: stopped at step {step} of {self.phases[self.phase].name},"
            f" {step * self.settings.dt:g} fs: {who}{what}.\n"
            f"The last good frame and this one are in {path}. The model has left what it was trained on, or the time"
            " step is too long: label that frame and train with it, or take a shorter step or a lower temperature."
        ) from None

    def _write_header(self, status: str, conservation: dict[str, float] | None = None) -> None:
        document = {**self.header, "status": status, "conservation": conservation}
        write_atomically(self.folder / "md.json", (json.dumps(document, indent=1) + "\n").encode())


def _refuse_foreign(folder: Path) -> None:
    """Files of the names that a run writes, and no md.json that says whose they are."""
    there = [p.name for p in (*folder.glob("trajectory-*.extxyz"), folder / "thermo.csv") if p.exists()]
    if there:
        raise ValueError(
            f"{folder} has no md.json but holds {', '.join(sorted(there)[:3])}, which a run would overwrite."
            " Give another folder, or move these files away."
        )
