"""Print every key of the configuration with its type and default, from the classes that define them."""

import importlib
import pkgutil
import sys
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

import equipot
from equipot.config import Config


def configurations() -> list[type[BaseModel]]:
    """All configuration classes of the package, in the order of their modules."""
    for module in pkgutil.walk_packages(equipot.__path__, "equipot."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return sorted(_below(Config), key=lambda kind: (kind.__module__, kind.__name__))


def table(kind: type[BaseModel]) -> str:
    """One class as a section with a table."""
    lines = [
        f"## {kind.__name__}",
        "",
        (kind.__doc__ or "").strip(),
        "",
        "| key | type | default |",
        "|---|---|---|",
    ]
    lines += [
        f"| `{name}` | {spelled(f.annotation)} | {default(f)} |" for name, f in kind.model_fields.items()
    ]
    return "\n".join(lines)


def spelled(annotation: Any) -> str:
    """A type as one would write it in the configuration."""
    parts = get_args(annotation)
    text = getattr(annotation, "__name__", str(annotation)) if not parts else str(annotation)
    for noise in ("typing.", "collections.abc.", "annotated_types."):
        text = text.replace(noise, "")
    return f"`{text.replace('|', '∣')}`"  # a bar would end the cell


def default(field: Any) -> str:
    """The default of a key; without one it must be given."""
    value = field.get_default(call_default_factory=True)
    return "**required**" if value is PydanticUndefined else f"`{str(value).replace('|', '∣')}`"


def _below(kind: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for sub in kind.__subclasses__():
        yield sub
        yield from _below(sub)


if __name__ == "__main__":
    sys.stdout.write(
        "# Keys of the configuration\n\n" + "\n\n".join(table(k) for k in configurations()) + "\n"
    )
