"""What a molecular dynamics run is: temperature, times, ensemble, limits."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BeforeValidator, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from equipot.config import Config
from equipot.engines.isotopes import mass

EngineName = Literal["ase", "openmm", "torchsim", "lammps", "ipi"]
Thermostat = Literal["langevin", "bussi"]
Method = Literal["pimd", "rpmd", "trpmd", "piglet"]
TrajectoryFormat = Literal["extxyz", "hdf5"]
PhaseName = Literal["nvt", "nve", "npt"]


class Dynamics(Config):
    """Settings of a run. The velocities are drawn anew, whatever the starting structure carries."""

    temperature: PositiveFloat = 300.0  # K
    dt: PositiveFloat = 0.5  # fs
    time: PositiveFloat = 10.0  # ps of production, of every replica
    equilibration: NonNegativeFloat = 1.0  # ps of NVT before it
    ensemble: Literal["nve", "langevin", "bussi", "npt"] = "nve"  # of the production
    thermostat: Thermostat = "langevin"  # of the equilibration
    friction: PositiveFloat = 0.01  # 1/fs, Langevin
    taut: PositiveFloat = 100.0  # fs, Bussi
    stride: PositiveInt = 4  # steps between two samples
    pressure: float = 1.0  # bar, with ensemble npt
    taup: PositiveFloat = 1000.0  # fs, of the barostat
    replicas: PositiveInt = 1
    engine: EngineName = "ase"
    ranks: PositiveInt = 1  # processes among which LAMMPS divides the cell
    beads: PositiveInt = 1  # of a ring polymer; more than one: quantum nuclei with i-PI
    method: Method = "trpmd"  # of ring polymers
    pile_lambda: PositiveFloat = 0.5  # trpmd: friction 2 λ ω_k on the mode ω_k of the free ring
    gle: str | None = None  # piglet: file with the matrices of its thermostat
    seed: NonNegativeInt = 1
    trajectory: TrajectoryFormat = "extxyz"  # hdf5: H5MD, needs equipot[hdf5]; smaller, and faster to read
    checkpoint: NonNegativeFloat = 30.0  # s between two restart files
    max_temperature: PositiveFloat | None = None  # K, of one replica; None: the greater of 5 T and T + 1000 K
    max_force: PositiveFloat = 50.0  # eV/Å, on one atom
    force_long_step: bool = False  # accept a step above 2 fs with hydrogen
    masses: dict[
        str, Annotated[float, BeforeValidator(mass)]
    ] = {}  # amu (or D, T), by element or index of an atom

    def phases(self) -> list["Phase"]:
        """What is run, in order."""
        steps = round(1000 * self.equilibration / self.dt)
        sampling: Method = "piglet" if self.method == "piglet" else "pimd"
        first = [self._phase("nvt", steps, self.thermostat, sampling)] if steps else []
        return [*first, self._phase(*self._production(), self.method)]

    def _production(self) -> tuple[PhaseName, int, Thermostat | None]:
        steps = max(1, round(1000 * self.time / self.dt))
        if self.ensemble == "nve":
            only_samples = self.beads > 1 and self.method in ("pimd", "piglet")
            return ("nvt", steps, self.thermostat) if only_samples else ("nve", steps, None)
        return ("npt", steps, self.thermostat) if self.ensemble == "npt" else ("nvt", steps, self.ensemble)

    def _phase(self, name: PhaseName, steps: int, thermostat: Thermostat | None, method: Method) -> "Phase":
        tau = {"langevin": 1 / self.friction, "bussi": self.taut, None: None}[thermostat]
        ring = method if self.beads > 1 else None
        return Phase(name=name, steps=steps, thermostat=thermostat, tau=tau, method=ring)


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A stretch of dynamics under one rule."""

    name: PhaseName
    steps: int
    thermostat: Thermostat | None
    tau: float | None  # fs
    method: Method | None = None  # of a ring polymer, whose centroid the thermostat acts on
