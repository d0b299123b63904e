"""The model file that a training starts from."""

from dataclasses import dataclass
from pathlib import Path

from equipot.config import read_yaml
from equipot.deploy.atomic import write_atomically
from equipot.deploy.document import Ancestor, ModelDocument
from equipot.deploy.model_file import identity, load
from equipot.potential import Potential
from equipot.train.config import RunConfig

COPY = "parent.equipot"  # in the run folder


@dataclass(frozen=True)
class Parent:
    """A potential that is trained on, as its file has it."""

    path: Path
    potential: Potential
    document: ModelDocument
    identity: str

    @property
    def ancestors(self) -> tuple[Ancestor, ...]:
        """The file and those before it, the nearest first."""
        own = Ancestor(name=self.path.name, identity=self.identity)
        return (own, *self.document.provenance.ancestors)

    def keep(self, folder: Path) -> None:
        """A copy in the run folder: a continuation starts from the same numbers whatever becomes of the file."""
        if not (folder / COPY).exists():
            write_atomically(folder / COPY, self.path.read_bytes())


def open_parent(config: RunConfig, folder: Path) -> tuple[RunConfig, Parent]:
    """The model file that a run starts from; in a run that goes on, the copy in its folder.

    What counts is what is in the file, not where it lies: the configuration comes back with the path under which the
    run knows it. A file with another model in it is refused.
    """
    assert config.start is not None
    path, copy = config.start.model, folder / COPY
    if not copy.exists():
        return config, Parent(path, *load(path), identity(path))
    found = identity(copy)
    if path.exists() and (now := identity(path)) != found:
        raise ValueError(
            f"{path}: is not, or not any more, the model that the run in {folder} started from: {found[:12]}… then, "
            f"{now[:12]}… now.\nChoose another folder with --out, or go on with start.model={copy}."
        )
    stored = read_yaml(folder / "config.yaml").get("start") if (folder / "config.yaml").exists() else None
    if stored:
        path = Path(stored["model"])
        config = config.model_copy(update={"start": config.start.model_copy(update={"model": path})})
    return config, Parent(path, *load(copy), found)
