"""The model file that a training starts from."""

from dataclasses import dataclass
from pathlib import Path

from equipot.deploy.atomic import write_atomically
from equipot.deploy.document import Ancestor, ModelDocument
from equipot.deploy.model_file import identity, load
from equipot.potential import Potential

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


def open_parent(path: Path, folder: Path) -> Parent:
    """The file; in a run that goes on, the copy in its folder, and a file that has changed since is refused."""
    copy = folder / COPY
    source = copy if copy.exists() else path
    found = identity(source)
    if copy.exists() and path.exists() and (now := identity(path)) != found:
        raise ValueError(
            f"{path}: has changed since the run in {folder} started from it: {found[:12]}… then, {now[:12]}… now.\n"
            f"Choose another folder with --out, or go on from the model of then: start.model={copy}."
        )
    potential, document = load(source)
    return Parent(path, potential, document, found)
