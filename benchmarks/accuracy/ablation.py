"""Which training recipe: seeds, batch, schedule, energy length, optimizer, averaging, each arm in the same time.

    python benchmarks/accuracy/ablation.py DATA --set 3bpa --model painn --budget 5min --rows A0,A1,A2
    python benchmarks/accuracy/ablation.py --set ethanol --model nequip --budget 5min
    python benchmarks/accuracy/ablation.py --table

DATA is the folder of three_bpa.py; ethanol comes with the package. The time is turned into a number of steps once for
every batch, from a measured step, and kept in the result file: arms with one batch make the same steps, however busy
the machine. Every run measures all averages of its weights on the test sets, so A5 needs but one more training. The
runs of A0, the default recipe, are the base of all rows; their spread over seeds says what a difference means. Runs
that are in the file are not made again, and one that was stopped goes on.
"""

import argparse
import math
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev
from typing import Any
from unittest.mock import patch

import records
import torch
from budget import seconds, steps_for
from molecule import RESULTS, MoleculeSet, configuration, errors
from settings import settings
from three_bpa import three_bpa

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from machine import stamp

from equipot import api
from equipot.data.read import Frames, read
from equipot.data.shipped import ethanol as shipped_ethanol
from equipot.deploy.checkpoints import latest_valid, load_state
from equipot.train import averaging
from equipot.train.loop import Trainer
from equipot.train.loss import LENGTH, LENGTH_COOLDOWN
from equipot.train.plan import LEARNING_RATES
from equipot.train.schedule import FLOOR, WarmupStayCooldown

RESULT = RESULTS / "ablation.json"
BASE = "base"
# horizons of the averages, as fractions of the steps; the default recipe has the first and the third
TRACKS = {"short": 0.001, "medium": 0.003, "long": 0.01, "longest": 0.05}
NAMES = {"raw": "none", "short": "0.1 %", "medium": "0.3 %", "long": "1 %", "longest": "5 %"}


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One change of the default recipe."""

    row: str
    name: str
    train: dict[str, Any] = field(default_factory=dict)  # of the `train:` section
    rate: float | None = None  # times the default learning rate of the optimizer
    length: float | str | None = None  # ℓ of the loss in Å, constant, or "switched"; none: the default ramp
    cosine: bool = False  # learning rate after the warm-up


ARMS = (
    Arm(row="A0", name=BASE),
    *(Arm(row="A1", name=f"batch {b}", train={"batch": b}) for b in (1, 2, 10, 20, 40)),
    # 40 validations in a run, patience 1: the published 50 of 2000 epochs, scaled to the budget
    Arm(
        row="A2", name="plateau 0.8", train={"schedule": "plateau", "plateau": {"factor": 0.8, "patience": 1}}
    ),
    Arm(row="A2", name="cosine", cosine=True),
    Arm(row="A2", name="cooldown 20 %", train={"cooldown": 0.2}),
    Arm(row="A2", name="cooldown 65 %", train={"cooldown": 0.65}),
    *(Arm(row="A3", name=f"length {x:g} Å", length=x) for x in (math.inf, 1.0, 0.2, 0.07, 0.03)),
    Arm(row="A3", name="length switched", length="switched"),
    *(
        Arm(row="A4", name=f"{name}, rate x {rate:g}", train={"optimizer": name}, rate=rate)
        for name, rates in (("adamw", (1, 3, 10)), ("amsgrad", (1, 3)), ("soap", (1 / 3, 3)))
        for rate in rates
    ),
    Arm(row="A5", name="no cooldown", train={"schedule": "constant"}),
)


def ethanol() -> MoleculeSet:
    """The shipped set: trained and tested on 300 and 600 K (every fifth frame a test), transfer to 1000 K."""
    frames = read(shipped_ethanol())
    cold = [k for k, f in enumerate(frames.structures) if f.group != "md_1000K"]
    chosen = {
        "300 and 600 K": [frames.structures[k] for k in cold[::5]],
        "1000 K": [f for f in frames.structures if f.group == "md_1000K"],
    }
    return MoleculeSet(
        name="ethanol",
        what="ethanol, B3LYP/6-31G(d), the shipped set: 400 + 50 frames at 300 and 600 K",
        train=shipped_ethanol(),
        tests={n: Frames(path=frames.path, kind=frames.kind, frames=tuple(f)) for n, f in chosen.items()},
        pool=tuple(k for place, k in enumerate(cold) if place % 5),
        published={},
        measure="rmse",
    )


def cosine(schedule: WarmupStayCooldown, step: int) -> float:
    """Linear warm-up, then half a cosine."""
    warm = schedule.warmup_steps
    if step < warm:
        return (step + 1) / warm
    return max(0.5 * (1 + math.cos(math.pi * (step - warm) / (schedule.num_steps - warm))), FLOOR)


def length_of(arm: Arm) -> Callable[[Trainer], float]:
    """ℓ at the step where a trainer is."""
    if arm.length == "switched":
        return lambda trainer: LENGTH_COOLDOWN if trainer.schedule.cooled(trainer.step) > 0 else LENGTH
    constant = arm.length
    assert isinstance(constant, float)
    return lambda trainer: constant


@contextmanager
def changed(arm: Arm) -> Iterator[None]:
    """The trainer as the arm wants it, beyond what a configuration can say; all arms keep all averages."""
    with ExitStack() as stack:
        stack.enter_context(patch.dict(averaging.HORIZONS, TRACKS))
        if arm.length is not None:
            stack.enter_context(patch.object(Trainer, "_length", length_of(arm)))
        if arm.cosine:
            stack.enter_context(patch.object(WarmupStayCooldown, "factor", cosine))
        yield


def averages(folder: Path, model: api.Model, tests: dict[str, Frames]) -> dict[str, Any]:
    """Errors with the weights as they are and with each average, from the last checkpoint."""
    path, _ = latest_valid(folder / "checkpoints", "step-*.safetensors")
    assert path is not None, f"{folder}: no checkpoint"
    tensors, _ = load_state(path)
    found = {}
    for track in ("raw", *TRACKS):
        with torch.no_grad():
            for index, (name, parameter) in enumerate(model.potential.named_parameters()):
                parameter.copy_(tensors[f"model.{name}" if track == "raw" else f"ema.{track}.{index}"])
        found[NAMES[track]] = {name: errors(model.evaluate(frames)) for name, frames in tests.items()}
    return found


def trial(chosen: MoleculeSet, arm: Arm, values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """One run of an arm."""
    made, started = stamp(), time.process_time()
    with changed(arm):
        done = api.train(values, folder)
    model = api.load(done.model)
    written: Any = model.document.run
    return {
        "model": written["model"],
        "train": written["train"],
        "kept": done.metrics["selection"]["kept"],
        "cpu_seconds_of_this_process": round(time.process_time() - started),
        "errors": {name: errors(model.evaluate(frames)) for name, frames in chosen.tests.items()},
        "averages": averages(folder, model, dict(chosen.tests)),
        **made,
    }


def attempt(chosen: MoleculeSet, arm: Arm, seed: int, arguments: argparse.Namespace) -> None:
    """One run, unless it is in the file."""
    minutes = f"{arguments.budget / 60:g} min"
    series = f"{chosen.name}, {arguments.model} {arguments.size}, {minutes}, {arguments.device}"
    key = f"{series}, {arm.row}, {arm.name}, seed {seed}"
    if key in records.load(arguments.result)["runs"]:
        print(f"{key}: there already.", flush=True)
        return
    print(f"== {key}", flush=True)
    number = 450 if chosen.name == "three_bpa" else 400
    model = settings(arguments.model, arguments.size, chosen.name)
    batch = arm.train.get("batch", chosen.batch)
    measured = configuration(chosen, model, number, 1, device=arguments.device, batch=batch)
    timed = f"{chosen.name}, {arguments.model} {arguments.size}, batch {batch}, {arguments.device}"
    steps = steps_for(arguments.result, timed, measured, [], arguments.budget, arguments.measure)
    values = configuration(chosen, model, number, seed, device=arguments.device, steps=steps)
    every = {"validate_every": math.ceil(steps / (40 if arm.train.get("schedule") == "plateau" else 10))}
    values["train"] = {**values["train"], **every, **arm.train}
    if arm.rate is not None:
        default = LEARNING_RATES[arguments.model][arm.train["optimizer"] != "soap"]
        values["train"]["learning_rate"] = arm.rate * default * min(math.sqrt(batch / 5), 3.0)
    folder = arguments.out / "ablation" / re.sub(r"[^\w.=]+", "-", key)
    found = trial(chosen, arm, values, folder)
    header = {"what": "Arms of the training recipe at a fixed time", "measure": "rmse"}
    about = {"series": series, "row": arm.row, "arm": arm.name, "seed": seed, "steps": steps}
    records.add(arguments.result, header, key, {**about, **found})


def table(record: records.Record) -> list[str]:
    """By series: RMSE of the arms on every test set, and their difference from the base in per cent."""
    lines: list[str] = []
    runs = list(record["runs"].values())
    for series in dict.fromkeys(entry["series"] for entry in runs):
        own = [entry for entry in runs if entry["series"] == series]
        base = [entry["errors"] for entry in own if entry["arm"] == BASE]
        tests = list(own[0]["errors"])
        lines += [
            "",
            f"**{series}**: RMSE, energy in meV / forces in meV/Å, and the change from the base",
            "",
        ]
        lines += [f"| | arm | {' | '.join(tests)} |", "|---" * (2 + len(tests)) + "|"]
        for row, name, found in _arms(own):
            compared = [] if row == "A0" else base
            cells = [_cell([e[test] for e in found], [b[test] for b in compared]) for test in tests]
            lines.append(f"| {row} | {name} | {' | '.join(cells)} |")
    return lines


def _arms(runs: list[records.Record]) -> Iterator[tuple[str, str, list[dict[str, Any]]]]:
    """Row, name, and errors by seed; the averages of base and `no cooldown` are the arms of A5."""
    arms = {(entry["row"], entry["arm"]): None for entry in runs}
    for row, name in sorted(arms, key=lambda arm: arm[0]):
        own = [entry for entry in runs if (entry["row"], entry["arm"]) == (row, name)]
        label = f"{name} ({len(own)} seeds)" if len(own) > 1 else name
        if row != "A5":
            yield row, label, [entry["errors"] for entry in own]
    for name, label in ((BASE, "cooldown"), ("no cooldown", "no cooldown")):
        own = [entry for entry in runs if entry["arm"] == name]
        for track in own[0]["averages"] if own else ():
            yield "A5", f"average {track}, {label}", [entry["averages"][track] for entry in own]


def _cell(found: list[dict[str, Any]], base: list[dict[str, Any]]) -> str:
    cells = []
    for name in ("energy", "forces"):
        values = [1e3 * e[name]["rmse"] for e in found]
        text = f"{mean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")
        if base:
            change = 100 * (mean(values) / mean(1e3 * b[name]["rmse"] for b in base) - 1)
            text += f" ({change:+.0f} %)"
        cells.append(text)
    return " / ".join(cells)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="?", help="folder of 3BPA")
    parser.add_argument("--set", choices=("3bpa", "ethanol"), default="3bpa")
    parser.add_argument("--model", default="painn")
    parser.add_argument("--size", default="small")
    parser.add_argument("--budget", type=seconds, default=300.0, help="of each run: 5min, 1h")
    parser.add_argument("--rows", type=lambda t: t.split(","), default=sorted({arm.row for arm in ARMS}))
    parser.add_argument("--seeds", type=int, default=1, help="of every arm")
    parser.add_argument("--base-seeds", type=int, default=5, help="of the base, row A0")
    parser.add_argument("--measure", type=float, default=10.0, help="seconds of measuring steps")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument("--result", type=Path, default=RESULT)
    parser.add_argument("--table", action="store_true", help="print the table of the result file and stop")
    arguments = parser.parse_args()
    if not arguments.table:
        torch.set_num_threads(arguments.threads)
        if arguments.set == "3bpa" and arguments.data is None:
            raise SystemExit("Name the folder of 3BPA.")
        chosen = ethanol() if arguments.set == "ethanol" else three_bpa(arguments.data)
        for arm in (arm for arm in ARMS if arm.row in arguments.rows):
            for seed in range(1, 1 + (arguments.base_seeds if arm.name == BASE else arguments.seeds)):
                attempt(chosen, arm, seed, arguments)
    print("\n".join(table(records.load(arguments.result))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
