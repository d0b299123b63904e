"""The page of accuracies in the documentation, made from the committed result files.

python benchmarks/accuracy/page.py           # rewrites docs/accuracy.md
python benchmarks/accuracy/page.py --check   # says whether it is up to date
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "equal_time"))
import ablation
import equal_time
import records
import report
from learning_curves import FIGURE
from molecule import RESULTS

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "accuracy.md"
HEAD = """\
<!-- written by benchmarks/accuracy/page.py; do not edit -->

# Accuracy

Errors on published sets, beside the published numbers. Published models were trained for hours on a GPU, ours for the
time that the table says: no number from a small budget says what an architecture can reach. Every run has its own entry
in `benchmarks/results/`, with command, machine, commit, seed, configuration and time.
"""
SETS = {
    "three_bpa": (
        "3BPA",
        "A flexible molecule, trained at 300 K, tested at 300, 600 and 1200 K: transfer to what was not trained on. "
        "`mixedT_even` says that the tests are every second frame of the published set of mixed temperatures instead "
        "of the published test files: comparable in kind, not to the last digit.",
    ),
    "acac": (
        "Acetylacetone",
        "Trained at 300 K, tested at 300 and 600 K. `train_600K` says that the published training file of 600 K, which "
        "was not trained on, stands in for the published test at 600 K.",
    ),
    "aspirin": (
        "Aspirin, rMD17",
        "950 training and 50 validation frames, tested on 900 others, which are none of the five official splits.",
    ),
}


SAME_TIME = """\
Each package on one thread for the same processor time, start-up included, the schedule scaled to the time; test frames
are opened once, by one evaluator. "Its recipe" is the documented one; a row "with the recipe of" another package tells
what the recipe is worth and what the code. What a package is like after a few epochs says little of what it reaches in
hours. Rows without a number of seeds are one seed; of ten minutes, all but the two MACEs are
older than equipot's compiled products. The
last column is of NVE dynamics of one molecule from the first frame at 1200 K, steps of {timestep} fs. The second column
has the time really taken, on a machine with both cores busy: up to 20 minutes, most lengths (decision 39) were set on a
quiet one, and who took more than the others, as MACE at 15 minutes or NequIP with equipot's recipe, is flattered.
Compiled NequIP is without the six minutes of its compilation. What the [protocol]({decision}) asks for besides, why it
is not here, and what we learned is in decision 39. Made by `python benchmarks/accuracy/equal_time/equal_time.py DATA`.
"""
TUNED = """\
Learning rate and batch, three values each, chosen by the forces of the validation frames of seed 1 (bold); the test
errors of the chosen one are in the table above.
"""


def page() -> str:
    """The whole page, of the result files that are there."""
    parts = [HEAD]
    for name, (title, about) in SETS.items():
        record = records.load(RESULTS / f"{name}.json")
        lines = records.table(record)
        if lines:
            command = f"`python benchmarks/accuracy/{name}.py DATA`"
            parts.append("\n".join([f"## {title}", "", f"{about} Made by {command}.", "", *lines, ""]))
        if lines and name == "three_bpa" and FIGURE.exists():
            parts.append(
                f"![Errors against the number of training frames](figures/{FIGURE.name})\n\n"
                "Learning curves, by `python benchmarks/accuracy/learning_curves.py DATA`, the same time each.\n"
            )
    parts += same_time(records.load(equal_time.RESULT))
    arms = ablation.table(records.load(ablation.RESULT))
    if arms:
        about = (
            "What the parts of the [training recipe](how-to/recipes.md) are worth, each arm in the same number of "
            "steps as the base, or the same time for another batch: `python benchmarks/accuracy/ablation.py`."
        )
        parts.append("\n".join(["## The recipe, taken apart", "", about, *arms, ""]))
    return "\n".join(parts)


def same_time(record: records.Record) -> list[str]:
    """The section of the comparison at equal time, if there are runs."""
    rows, tuned = report.table(record), report.tuning(record)
    if not rows:
        return []
    words = SAME_TIME.format(timestep=0.5, decision="decisions/0039-equal-time.md")
    parts = ["## The same time for everybody\n", words, *rows, ""]
    if report.FIGURE.exists():
        parts.append(f"![Errors against processor time](figures/{report.FIGURE.name})\n")
    return [*parts, *([TUNED, *tuned, ""] if tuned else [])]


def main() -> int:
    if "--check" in sys.argv:
        return int(not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page())
    report.draw(records.load(equal_time.RESULT))
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
