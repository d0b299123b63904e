"""Tables and the figure of the comparison at equal time."""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean, stdev

from arms import BATCHES, RATES, arms
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from records import Record

FIGURE = Path(__file__).resolve().parents[3] / "docs" / "figures" / "equal_time_3bpa.svg"
TESTS = ("300 K", "600 K", "1200 K")
DRAWN = {"mace": "C0", "equipot-mace": "C0", "nequip": "C1", "equipot-nequip": "C1"}
VALIDATION = "validation"  # by the side of the test sets


def table(record: Record) -> list[str]:
    """Rows of Markdown: test errors, means ± standard deviations over seeds; dynamics of the first seed."""
    known = arms(Path())
    rows = []
    for group in groups(record):
        first = group[0]
        cells = [
            known[first["arm"]].what + ("" if len(group) == 1 else f" ({len(group)} seeds)"),
            f"{_mean(group, _minutes, '.1f')} of {first['budget_seconds'] / 60:g}",
            _length(group),
            *(_errors(group, test) for test in TESTS),
            _dynamics(first),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    if not rows:
        return []
    head = ["RMSE, energy in meV / forces in meV/Å", "minutes", "length", *TESTS, "stable, drift, µs an atom"]
    return [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *rows]


def tuning(record: Record) -> list[str]:
    """Rows of Markdown: the validation errors among which tuning chose, of seed 1."""
    tried: dict[tuple[float, str], list[Record]] = {}
    for entry in record["runs"].values():
        if entry["seed"] == 1 and VALIDATION in entry["errors"]:
            tried.setdefault((entry["budget_seconds"], entry.get("base", entry["arm"])), []).append(entry)
    rows = []
    for (budget, base), entries in sorted(tried.items()):
        found = {(e.get("rate", 1.0), e.get("batch", 1.0)): _validation(e) for e in entries}
        if len(found) < len(RATES) + len(BATCHES) - 1:
            continue
        best = min(RATES, key=lambda rate: found[rate, 1.0])
        cells = [found[r, 1.0] for r in RATES] + [found[best, b] for b in BATCHES if b != 1]
        words = [f"**{c:.1f}**" if c == min(cells) else f"{c:.1f}" for c in cells]
        rows.append(f"| {base}, {budget / 60:g} min | {' | '.join(words)} |")
    if not rows:
        return []
    head = ["forces of the validation frames, meV/Å", *(f"rate × {r:.2g}" for r in RATES)]
    head += [f"best rate, batch × {b:g}" for b in BATCHES if b != 1]
    return [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *rows]


def groups(record: Record) -> list[list[Record]]:
    """Runs with test errors that differ in nothing but the seed, by budget and arm."""
    found: dict[tuple[float, str], list[Record]] = {}
    order = {name: k for k, name in enumerate(("mace", "equipot-mace", "nequip", "equipot-nequip"))}
    for entry in record["runs"].values():
        if TESTS[0] in entry["errors"]:
            found.setdefault((entry["budget_seconds"], entry["arm"]), []).append(entry)

    def rank(key: tuple[float, str]) -> tuple[float, int, str]:
        base = found[key][0].get("base", key[1])
        return key[0], order.get(base, len(order)), key[1]

    return [sorted(found[key], key=lambda e: e["seed"]) for key in sorted(found, key=rank)]


def draw(record: Record, path: Path = FIGURE) -> None:
    """Errors against the time really taken, each package by its documented recipe, with the published level."""
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    for panel, test in zip(figure.subplots(1, 2), ("300 K", "1200 K"), strict=True):
        for name, color in DRAWN.items():
            runs = [group for group in groups(record) if group[0]["arm"] == name]
            times = [mean(map(_minutes, group)) for group in runs]
            ours = name.startswith("equipot")
            forces = [mean(1e3 * e["errors"][test]["forces"]["rmse"] for e in group) for group in runs]
            label = f"{name.removeprefix('equipot-').upper().replace('NEQUIP', 'NequIP')}, "
            label += "equipot" if ours else "its package"
            panel.plot(
                times, forces, "o-" if ours else "s--", color=color, label=label, mfc=color if ours else "w"
            )
        published = record["published"]["MACE L=2"][test][1]
        panel.axhline(published, color="gray", lw=0.8, ls=":", label="published MACE, hours on a GPU")
        panel.set(
            xscale="log",
            yscale="log",
            xlabel="processor time, minutes",
            ylabel="forces, RMSE, meV/Å",
            title=test,
        )
        for axis in (panel.xaxis, panel.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axis.set_minor_formatter(NullFormatter())
    lines = figure.axes[0].get_legend_handles_labels()
    figure.legend(*lines, loc="outside lower center", ncols=len(lines[0]), fontsize="x-small", frameon=False)
    figure.suptitle("3BPA, 450 + 50 frames at 300 K, one thread, documented recipes", fontsize="medium")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def _validation(entry: Record) -> float:
    return 1e3 * entry["errors"][VALIDATION]["forces"]["rmse"]


def _minutes(entry: Record) -> float:
    return entry["cpu_seconds"] / 60


def _errors(group: Sequence[Record], test: str) -> str:
    return " / ".join(
        _mean(group, lambda e, name=name: 1e3 * e["errors"][test][name]["rmse"], ".1f", spread=True)
        for name in ("energy", "forces")
    )


def _mean(group: Sequence[Record], value: Callable[[Record], float], form: str, spread: bool = False) -> str:
    values = [value(entry) for entry in group]
    text = f"{mean(values):{form}}"
    return f"{text} ± {stdev(values):{form}}" if spread and len(values) > 1 else text


def _length(group: Sequence[Record]) -> str:
    units = "steps" if group[0]["kind"] == "equipot" else "epochs"
    return f"{group[0]['length']} {units if group[0]['length'] > 1 else units.removesuffix('s')}"


def _dynamics(entry: Record) -> str:
    if "dynamics" not in entry:
        return ""
    found = entry["dynamics"]
    whole = "" if found["steps"] < found["steps_asked"] else "all "
    slope = found["drift_meV_per_atom_ps"]
    drift = "" if slope is None else f"{slope:+.2g} meV/atom/ps, "
    return f"{whole}{found['stable_fs']:.0f} fs, {drift}{found['us_per_atom']:.0f}"
