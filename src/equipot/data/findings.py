"""What the data doctor says: what is wrong, where, the evidence, and the fix to paste."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Level = Literal["error", "warning", "note"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing to know about a data set. Errors stop a training until they are answered."""

    level: Level
    row: int  # of the table of bad inputs in the documentation
    title: str
    where: str
    evidence: str
    fix: str = ""  # to paste; empty where nothing needs to be done
    settings: Mapping[str, Any] = field(default_factory=dict)  # what the fix sets in the `data:` section

    def text(self) -> str:
        """The whole message, as an error prints it."""
        fix = f"\n  fix: {self.fix}" if self.fix else ""
        return f"{self.level}: {self.title}\n  where: {self.where}\n  evidence: {self.evidence}{fix}"

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for `--json`."""
        return asdict(self)


def some(items: list[str], limit: int = 5) -> str:
    """The first few of a list, and how many more there are."""
    shown = ", ".join(items[:limit])
    return shown + (f" and {len(items) - limit} more" if len(items) > limit else "")
