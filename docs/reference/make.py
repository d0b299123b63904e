"""Write the pages of this folder from the classes and tables of the package: configuration, units, commands.

python docs/reference/make.py
"""

import inspect
import json
from pathlib import Path

import typer

from equipot.cli.keys import comments, described, schema
from equipot.cli.main import app
from equipot.comparison.config import CompareConfig
from equipot.data.keys import CANDIDATES
from equipot.engines.settings import Dynamics
from equipot.potential.targets import TargetsConfig
from equipot.units import INTERNAL, UNITS

HERE = Path(__file__).parent
NOTE = "<!-- written by make.py; do not edit -->\n\n"


def configuration() -> str:
    """Every key of a training run and of dynamics."""
    lines = ["# Keys of the configuration", "", "`equipot train --explain KEY` prints the same.", ""]
    lines += ["| key | type and default | meaning |", "|---|---|---|"]
    for path, text in described():
        first, _, remark = text.partition("\n    ")
        head, _, kind = first.partition(": ")
        lines.append(_row(f"`{path}`{head.removeprefix(path)}", kind, remark))
    lines += [
        "",
        "## Settings of dynamics",
        "",
        "`equipot md ... key=value`, or the mapping given to `equipot.md`.",
    ]
    lines += ["", "| key | default | meaning |", "|---|---|---|"]
    remarks = comments(Dynamics)
    lines += [
        _row(f"`{name}`", f"`{field.default}`", remarks.get(name, ""))
        for name, field in Dynamics.model_fields.items()
    ]
    lines += [
        "",
        "## Keys of a comparison",
        "",
        "The YAML file of `equipot compare`. Any of them as key=value too.",
    ]
    lines += ["", "| key | meaning |", "|---|---|"]
    remarks = comments(CompareConfig)
    lines += [_row(f"`{name}`", remarks[name]) for name in CompareConfig.model_fields]
    return "\n".join(lines) + "\n"


def targets() -> str:
    """What may be predicted, and under which names a file is searched for it."""
    lines = ["# Targets and their names in a file", "", "| label | unit inside | customary names | target |"]
    lines += ["|---|---|---|---|"]
    for name, candidates in CANDIDATES.items():
        field = TargetsConfig.model_fields.get("energy" if name in ("forces", "stress", "virial") else name)
        kinds = [
            k for k in (field.annotation.__args__ if field is not None else ()) if hasattr(k, "model_fields")
        ]
        remark = " ".join((inspect.getdoc(kinds[0]) or "").split()) if kinds else ""
        lines.append(
            _row(f"`{name}`", INTERNAL.get(name, ""), ", ".join(f"`{c}`" for c in candidates), remark)
        )
    return "\n".join(lines) + "\n"


def units() -> str:
    """Every unit that a file may be in."""
    lines = ["# Units", "", "A value in a unit is multiplied by its factor.", ""]
    for quantity, table in UNITS.items():
        lines += [f"## {quantity}, inside {INTERNAL[quantity]}", "", "| unit | factor |", "|---|---|"]
        lines += [_row(f"`{unit}`", f"{factor:.10g}") for unit, factor in table.items()] + [""]
    return "\n".join(lines)


def commands() -> str:
    """Every command with its arguments and options."""
    lines = [
        "# Commands",
        "",
        "Exit codes: 0 done, 1 our fault, 2 the user's mistake, 3 a proof failed, 130 stopped.",
    ]
    for name, command in typer.main.get_command(app).commands.items():
        lines += ["", f"## equipot {name}", "", inspect.cleandoc(command.help or ""), ""]
        lines += ["| argument or option | default | meaning |", "|---|---|---|"]
        for parameter in command.params:
            if parameter.name == "help":
                continue
            shown = ", ".join(f"`{o}`" for o in (*parameter.opts, *parameter.secondary_opts))
            shown = shown if parameter.param_type_name == "option" else f"`{parameter.name}`"
            default = (
                "" if parameter.default in (None, False) or parameter.required else f"`{parameter.default}`"
            )
            lines.append(_row(shown, default, getattr(parameter, "help", None) or ""))
    return "\n".join(lines) + "\n"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "∣") for cell in cells) + " |"  # a bar would end the cell


PAGES = {"configuration.md": configuration, "targets.md": targets, "units.md": units, "commands.md": commands}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (HERE / name).write_text(NOTE + page(), encoding="utf-8")
    (HERE / "configuration.schema.json").write_text(
        json.dumps(json.loads(schema()), indent=1) + "\n", encoding="utf-8"
    )
