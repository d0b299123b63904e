"""Learning curves on 3BPA: what equivariance is worth in frames, as a figure for the documentation.

    python benchmarks/accuracy/learning_curves.py DATA --models painn,nequip,mace --budget 20min --seeds 1
    python benchmarks/accuracy/learning_curves.py --table --models painn,nequip,mace --budget 20min

Trains on 50, 100, 200 and 450 frames, for the same time each, and adds the runs to the result file of three_bpa.py;
runs that are there are not made again. The options are those of three_bpa.py; --table draws what is there.
"""

import argparse
import sys
from pathlib import Path
from statistics import mean, stdev

import matplotlib as mpl
import records
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, StrMethodFormatter
from molecule import RESULTS, parser, series, sweep
from three_bpa import PUBLISHED, three_bpa

FIGURE = Path(__file__).resolve().parent.parent.parent / "docs" / "figures" / "learning_curves_3bpa.svg"
SIZES = [50, 100, 200, 450]
PANELS = ("300 K", "1200 K")
NAMES = {
    "painn": "PaiNN",
    "schnet": "SchNet",
    "nequip": "NequIP",
    "mace": "MACE",
    "allegro": "Allegro",
    "ictp": "ICTP",
}
LEVEL = "MACE L=2"  # the published number that is drawn beside ours


def points(
    record: records.Record, arguments: argparse.Namespace, model: str, test: str
) -> list[tuple[int, list[float]]]:
    """Training frames, and RMSE of the forces in meV/Å by seed."""
    tests_name = "mixedT_even" if arguments.published is None else "published files"
    found = []
    for number in arguments.train:
        name = series(arguments, model, number, tests_name)
        runs = [entry for entry in record["runs"].values() if entry["series"] == name]
        if runs:
            found.append((number, [1e3 * entry["errors"][test]["forces"]["rmse"] for entry in runs]))
    return found


def draw(record: records.Record, arguments: argparse.Namespace, path: Path) -> None:
    """Error against frames, both logarithmic; bars are standard deviations over seeds."""
    mpl.rcParams["svg.hashsalt"] = "equipot"  # the same numbers give the same file
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    for panel, test in zip(figure.subplots(1, len(PANELS)), PANELS, strict=True):
        for model in arguments.models:
            curve = points(record, arguments, model, test)
            if curve:
                means = [mean(values) for _, values in curve]
                spread = [stdev(values) if len(values) > 1 else 0.0 for _, values in curve]
                panel.errorbar(
                    [n for n, _ in curve], means, spread, marker="o", capsize=3, label=NAMES.get(model, model)
                )
        panel.plot([450], [PUBLISHED[LEVEL][test][1]], "k*", label=f"{LEVEL}, published: full training")
        panel.set(
            xscale="log", yscale="log", title=test, xlabel="training frames", ylabel="RMSE of forces, meV/Å"
        )
        panel.set_xticks(arguments.train, labels=map(str, arguments.train))
        panel.minorticks_off()
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        panel.grid(alpha=0.3)
    figure.axes[0].legend(fontsize="small")
    length = f"{arguments.epochs} epochs" if arguments.epochs else arguments.budget
    figure.suptitle(f"3BPA, trained at 300 K, {arguments.size} models, {length} each", fontsize="medium")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def main() -> int:
    made = parser(__doc__)
    made.add_argument("--figure", type=Path, default=FIGURE)
    made.set_defaults(models=["painn", "nequip", "mace"])
    arguments = made.parse_args()
    arguments.train = arguments.train or SIZES
    path = arguments.result or RESULTS / "three_bpa.json"
    failed: list[str] = []
    if not arguments.table:
        if arguments.data is None:
            raise SystemExit("Name the folder of the data, or ask for --table.")
        failed = sweep(three_bpa(arguments.data, arguments.published), arguments, path)
    record = records.load(path)
    if not any(points(record, arguments, model, PANELS[0]) for model in arguments.models):
        print(f"{path}: no run with these options.", file=sys.stderr)
        return 1
    draw(record, arguments, arguments.figure)
    print(arguments.figure)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
