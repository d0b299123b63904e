"""Write the parts of the pages of this folder that follow from the code: numbers of parameters, options, citations.

    python docs/architectures/make.py

The step times come from benchmarks/results/step_time_3bpa.json, where that is.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

from equipot.cli.keys import comments, default, spelled
from equipot.deploy.citations import bibtex
from equipot.models import Architecture
from equipot.potential import Potential, PotentialConfig
from equipot.statistics import Statistics

HERE = Path(__file__).parent
STEPS = HERE.parent.parent / "benchmarks" / "results" / "step_time_3bpa.json"
SIZES = ("small", "medium", "large")
FOUR, EIGHT = (1, 6, 7, 8), (1, 6, 7, 8, 9, 15, 16, 17)
# how a hyper-parameter of the medium size is changed, to see what the number of parameters does
CHANGES: dict[str, Callable[[int], int]] = {
    "channels": lambda n: 2 * n,
    "num_layers": lambda n: n + 1,
    "l_max": lambda n: n + 1,
    "l_hidden": lambda n: n + 1,
    "l_features": lambda n: n + 1,
    "l_attributes": lambda n: n + 1,
    "correlation": lambda n: n - 1,
    "num_radial": lambda n: 2 * n,
}


def kinds() -> dict[str, Any]:
    """The configurations of all architectures by their names."""
    return {kind.model_fields["name"].default: kind for kind in get_args(Architecture)}


def parameters(name: str, elements: tuple[int, ...] = FOUR, **model: Any) -> int:
    """Trainable numbers of a potential for the energy."""
    config = PotentialConfig.model_validate({"model": {"name": name, **model}})
    statistics = Statistics(elements=elements, mean_neighbors=15.0, reference_energies=(0.0,) * len(elements))
    return sum(p.numel() for p in Potential(config, statistics).parameters())


def cost(name: str) -> list[str]:
    """Parameters of the sizes, and what one change does to them."""
    kind = kinds()[name]
    lines = ["| size | what it sets | parameters |", "|---|---|---|"]
    for size in SIZES:
        chosen = ", ".join(f"`{key}: {_text(value)}`" for key, value in kind.presets[size].items())
        lines.append(f"| {size} | {chosen} | {parameters(name, size=size):,} |")
    lines += ["", "| medium, but | parameters |", "|---|---|"]
    medium, unchanged = kind(), parameters(name)
    for key, change in CHANGES.items():
        if key in kind.model_fields:
            value = change(getattr(medium, key))
            count = parameters(name, **{key: value})
            lines += [f"| `{key}: {value}` | {count:,} |"] * (count != unchanged)
    lines.append(f"| eight elements | {parameters(name, EIGHT):,} |")
    return [
        *lines,
        "",
        "Four elements, and the energy alone, unless said otherwise (`python docs/architectures/make.py`).",
    ]


def options(name: str) -> list[str]:
    """Every key of the `model:` section."""
    kind = kinds()[name]
    remarks = comments(kind)
    lines = ["| `model.` | type and default | |", "|---|---|---|"]
    for key, field in kind.model_fields.items():
        if key != "name":
            cells = (f"`{key}`", f"{spelled(field.annotation)}, {default(field)}", remarks.get(key, ""))
            lines.append("| " + " | ".join(cell.replace("|", "∣") for cell in cells) + " |")
    return lines


def citation(name: str) -> list[str]:
    """The paper as BibTeX, as `equipot info` prints it of a model file."""
    return ["```bibtex", *bibtex(name).splitlines(), "```"]


def sizes() -> list[str]:
    """Parameters of all architectures, and the time of a step where it was measured."""
    times = json.loads(STEPS.read_text(encoding="utf-8"))["runs"] if STEPS.exists() else {}
    timed = {n: times.get(f"{n}, medium, cpu") for n in kinds()}
    titles = ["architecture", *SIZES] + ["ms a step"] * any(timed.values())
    lines = [_row(titles), "|---" * len(titles) + "|"]
    for name in kinds():
        cells = [f"[{name}]({name}.md)", *(f"{parameters(name, size=size):,}" for size in SIZES)]
        if any(timed.values()):
            found = timed[name]
            cells.append(f"{1e3 * found['seconds_per_step']:.0f}" if found else "")
        lines.append(_row(cells))
    lines += ["", "Parameters by `model.size`, for four elements and the energy alone."]
    first = next((found for found in timed.values() if found), None)
    if first:
        lines += [
            "A step trains the medium size on the energies and forces of five frames of 3BPA, in float32: CPU time of",
            f"one thread ({first['machine']['cpu']}, {first['date'][:10]}; `benchmarks/accuracy/step_time.py`).",
        ]
    return lines


def filled(text: str, part: str, lines: list[str]) -> str:
    """The text with what stands between the markers of a part replaced; ValueError without the markers."""
    pattern = re.compile(rf"(<!-- {part} -->\n).*?(<!-- /{part} -->)", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"no <!-- {part} --> … <!-- /{part} -->")
    return pattern.sub(lambda found: found[1] + "\n".join(["", *lines, "", ""]) + found[2], text)


def pages() -> Iterator[tuple[Path, str]]:
    """Every page and what it should be."""
    index = HERE / "README.md"
    yield index, filled(index.read_text(encoding="utf-8"), "sizes", sizes())
    for name in kinds():
        path = HERE / f"{name}.md"
        text = path.read_text(encoding="utf-8")
        for part, make in (("cost", cost), ("options", options), ("citation", citation)):
            text = filled(text, part, make(name))
        yield path, text


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, tuple | list) else str(value)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    for path, text in pages():
        path.write_text(text, encoding="utf-8")
