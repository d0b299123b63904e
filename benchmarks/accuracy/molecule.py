"""What the benchmarks on one molecule share: the command, one run after another, errors on every test set.

A script such as three_bpa.py reads its files into a `MoleculeSet` and calls `main`. Runs that are in the result file
are not made again; a run that was stopped goes on where it was. One that fails is reported, and the others go on.
"""

import argparse
import itertools
import json
import re
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import records
import torch
from budget import seconds, steps_for
from settings import available, recipe, settings

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from machine import stamp

from equipot import api
from equipot.data.read import Frames, read
from equipot.data.splits import shared
from equipot.evaluate.metrics import Comparison
from equipot.train.loop import Interrupted

RESULTS = Path(__file__).resolve().parent.parent / "results"
Published = Mapping[str, Mapping[str, tuple[float, float]]]  # name -> test set -> meV, meV/Å


@dataclass(frozen=True, kw_only=True)
class MoleculeSet:
    """Frames of one molecule: some to train and validate on, and test sets that are never in them."""

    name: str  # of the result file, and of the folder of runs
    what: str
    train: Path
    tests: Mapping[str, Frames]
    published: Published
    measure: str  # "rmse" or "mae": what the published table gives
    isolated: Path | None = None
    tests_name: str = ""  # where there is more than one choice of test sets
    pool: tuple[int, ...] | None = None  # frames of `train` that may be trained or validated on; none: all
    valid: int = 50
    batch: int = 5


def choose(data: Path, stem: str, isolated: bool = False) -> Frames:
    """A file of the folder, compressed or not."""
    return read(existing(data, stem), isolated=isolated)


def existing(data: Path, stem: str) -> Path:
    """stem.xyz.xz or stem.xyz, whichever the folder has; ValueError without either."""
    for suffix in (".xyz.xz", ".xyz"):
        if (data / f"{stem}{suffix}").exists():
            return data / f"{stem}{suffix}"
    raise ValueError(f"{data}: neither {stem}.xyz.xz nor {stem}.xyz is there.")


def part(frames: Frames, chosen: slice) -> Frames:
    """Some structures of a file."""
    return Frames(path=frames.path, kind=frames.kind, frames=frames.structures[chosen])


def unseen(frames: Frames, train: Frames) -> Frames:
    """The structures that are not in the file of the training set."""
    known = {id(b) for _, b in shared(train.structures, frames.structures)}
    kept = tuple(f for f in frames.structures if id(f) not in known)
    return Frames(path=frames.path, kind=frames.kind, frames=kept)


def split(pool: Sequence[int], train: int, valid: int, seed: int) -> dict[str, tuple[int, ...]]:
    """Indices by seed: training sets of one seed are nested, the validation set is the same for all of them."""
    if train + valid > len(pool):
        raise ValueError(f"{train} + {valid} frames are more than the {len(pool)} there are.")
    order = np.random.default_rng(seed).permutation(np.array(pool))
    parts = {"train": order[:train], "valid": order[len(pool) - valid :]}
    return {name: tuple(sorted(p.tolist())) for name, p in parts.items()}


def configuration(
    chosen: MoleculeSet, model: dict[str, Any], train: int, seed: int, **recipe: Any
) -> dict[str, Any]:
    """Our recipe at the customary batch, and what `recipe` changes in it."""
    if recipe.get("steps") and not recipe.get("validate_every"):
        # a validation evaluates its frames twice, each at about a third of a training step: 5 % of the time
        recipe["validate_every"] = round(20 * (2 / 3) * chosen.valid / chosen.batch)
    pool = chosen.pool or range(len(read(chosen.train).structures))
    parts = split(pool, train, chosen.valid, seed)
    data = {"train": str(chosen.train), "split": {"by": "index", **parts}}
    if chosen.isolated is not None:
        data["isolated_atoms"] = str(chosen.isolated)
    given = {name: value for name, value in recipe.items() if value is not None}
    return {"data": data, "model": model, "train": {"batch": chosen.batch, "seed": seed, **given}}


def budgeted(
    chosen: MoleculeSet, model: dict[str, Any], arguments: argparse.Namespace, path: Path
) -> dict[str, Any]:
    """The `train:` keys that say how long: epochs, or the steps that the budget gives on a quiet machine."""
    if arguments.epochs:
        return {"epochs": arguments.epochs}
    largest = max(arguments.train)  # steps do not depend on the number of frames
    values = configuration(chosen, model, largest, 1, device=arguments.device)
    changes = [a for a in arguments.set if a.startswith("model.")]
    key = ", ".join([chosen.name, f"{model['name']} {arguments.size}", arguments.device, *changes])
    return {"steps": steps_for(path, key, values, changes, seconds(arguments.budget))}


def run(chosen: MoleculeSet, values: dict[str, Any], folder: Path, assignments: list[str]) -> dict[str, Any]:
    """Train, or go on, and measure on every test set."""
    made, started, cpu = stamp(), time.time(), time.process_time()

    def observe(step: int, total: int, text: str) -> None:
        if step % 500 == 0:
            print(f"{folder.name}: {step}/{total} {time.time() - started:.0f} s {text}", flush=True)

    done = api.train(values, folder, assignments=assignments, observe=observe, say=print)
    log = [json.loads(line) for line in (done.folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    device = values["train"].get("device", "cpu")
    model = api.load(done.model, device=device)
    written: Any = model.document.run
    return {
        "model": written["model"],
        "parameters": sum(p.numel() for p in model.potential.parameters()),
        "train": written["train"],
        "frames": done.splits.sizes(),
        "device": device,
        "steps": log[-1]["step"],
        "epochs": round(log[-1]["epoch"], 1),
        "training_seconds": log[-1]["seconds"],  # over all restarts
        "cpu_seconds_of_this_process": round(time.process_time() - cpu),
        "kept": done.metrics["selection"]["kept"],
        "errors": {name: errors(model.evaluate(frames)) for name, frames in chosen.tests.items()},
        "curve": [
            {"step": r["step"], "seconds": r["seconds"], **{n: v["rmse"] for n, v in r["valid"].items()}}
            for r in log[:: len(log) // -40][::-1]  # at most 40, the last among them
        ],
        **made,
    }


def errors(found: Mapping[str, Comparison]) -> dict[str, dict[str, float]]:
    """Mean absolute and root mean square error, eV and eV/Å, with what the choice of so many frames leaves unsure."""
    out = {}
    for name, comparison in found.items():
        residual = comparison.predicted - comparison.label
        frames = np.unique(comparison.frame)
        rows = [residual[comparison.frame == f] for f in frames]
        absolute, square = (np.array([(np.abs(r) ** k).mean() for r in rows]) for k in (1, 2))
        every = comparison.errors
        out[name] = {
            **{"mae": every.mae, "rmse": every.rmse, "frames": len(frames)},
            "mae_uncertainty": _standard_error(absolute),
            "rmse_uncertainty": _standard_error(square) / (2 * every.rmse) if every.rmse else 0.0,
        }
    return out


def _standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


def parser(what: str | None) -> argparse.ArgumentParser:
    """The options of every benchmark on one molecule."""
    made = argparse.ArgumentParser(description=what, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("data", type=Path, nargs="?", help="folder of the set; not needed for --table")
    made.add_argument("--published", type=Path, help="folder with the published test files")
    made.add_argument(
        "--models", type=lambda t: t.split(","), default=list(available()), help="painn,nequip,..."
    )
    made.add_argument(
        "--size", default="small", help="small, published, or a preset of the models: medium, large"
    )
    made.add_argument("--recipe", choices=("default", "published"), default="default")
    made.add_argument("--train", type=lambda t: [int(n) for n in t.split(",")], help="sizes: 50,100,200,450")
    made.add_argument("--seeds", type=int, default=1, help="how many: 1, 2, ...")
    made.add_argument("--first-seed", type=int, default=1)
    made.add_argument("--budget", default="20min", help="training time of each run on a quiet machine")
    made.add_argument("--epochs", type=int, help="instead of a budget")
    made.add_argument(
        "--set", nargs="*", default=[], metavar="KEY=VALUE", help="changes of the configuration"
    )
    made.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    made.add_argument("--threads", type=int, default=1)
    made.add_argument("--out", type=Path, default=Path("runs"))
    made.add_argument("--result", type=Path, help="JSON; default benchmarks/results/NAME.json")
    made.add_argument("--table", action="store_true", help="print the table of the result file and stop")
    return made


def main(
    name: str, what: str | None, open_set: Callable[[Path, Path | None], MoleculeSet], train: int
) -> int:
    """The whole command; 1 when a run failed."""
    arguments = parser(what).parse_args()
    path = arguments.result or RESULTS / f"{name}.json"
    arguments.train = arguments.train or [train]
    failed: list[str] = []
    if not arguments.table:
        if arguments.data is None:
            raise SystemExit("Name the folder of the data, or ask for --table.")
        failed = sweep(open_set(arguments.data, arguments.published), arguments, path)
    print("\n".join(records.table(records.load(path))))
    return int(bool(failed))


def sweep(chosen: MoleculeSet, arguments: argparse.Namespace, path: Path) -> list[str]:
    """Every run that is asked for and not in the file yet; the names of those that failed."""
    torch.set_num_threads(arguments.threads)
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    wanted = itertools.product(seeds, arguments.train, arguments.models)
    failed = [
        key
        for seed, number, model in wanted
        if (key := _attempt(chosen, model, number, seed, arguments, path))
    ]
    if failed:
        print("\n".join(["Failed:", *failed]), file=sys.stderr)
    return failed


def series(arguments: argparse.Namespace, model: str, number: int, tests_name: str) -> str:
    """What runs have in common that differ in their seed alone."""
    length = f"{arguments.epochs} epochs" if arguments.epochs else arguments.budget
    words = [model, arguments.size, f"{number} frames", length, arguments.device]
    words += [f"{arguments.recipe} recipe"] * (arguments.recipe != "default")
    return ", ".join([*words, *arguments.set, *[tests_name] * bool(tests_name)])


def header(chosen: MoleculeSet) -> dict[str, Any]:
    """What a result file says above its runs."""
    return {
        "what": chosen.what,
        "units": "errors in eV and eV/Å; published in meV and meV/Å",
        "measure": chosen.measure,
        "published": {n: {t: list(pair) for t, pair in v.items()} for n, v in chosen.published.items()},
    }


def _attempt(
    chosen: MoleculeSet, model: str, number: int, seed: int, arguments: argparse.Namespace, path: Path
) -> str | None:
    """One run, unless its result is there; its name when it failed."""
    shared_by_seeds = series(arguments, model, number, chosen.tests_name)
    key = f"{shared_by_seeds}, seed {seed}"
    if key in records.load(path)["runs"]:
        print(f"{key}: in {path.name} already.", flush=True)
        return None
    print(f"== {key}", flush=True)
    # the tests do not belong to the name of the folder: a finished run is measured on others without training
    words = f"{series(arguments, model, number, '')}, seed {seed}"
    folder = arguments.out / chosen.name / re.sub(r"[^\w.=]+", "-", words)
    try:
        section = settings(model, arguments.size, chosen.name)
        length = budgeted(chosen, section, arguments, path)
        changes = recipe(model, arguments.recipe, max(1, number // chosen.batch))
        values = configuration(chosen, section, number, seed, device=arguments.device, **length, **changes)
        found = run(chosen, values, folder, arguments.set)
    except Interrupted:
        raise SystemExit(130) from None
    except Exception:  # whatever goes wrong with one model, the others are wanted
        traceback.print_exc()
        return key
    budget = None if arguments.epochs else seconds(arguments.budget)
    about = {
        "series": shared_by_seeds,
        "budget_seconds": budget,
        "size": arguments.size,
        "tests": chosen.tests_name,
        "seed": seed,
    }
    records.add(path, header(chosen), key, {**about, **found})
    return None
