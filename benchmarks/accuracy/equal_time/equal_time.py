"""Equal wall-clock: what a user gets from MACE, NequIP and equipot in the same time.

    python benchmarks/accuracy/equal_time/equal_time.py DATA --budget 15min --arms mace,equipot-mace --peers FOLDER
    python benchmarks/accuracy/equal_time/equal_time.py DATA --budget 5min --tune nequip --seeds 3 --peers FOLDER
    python benchmarks/accuracy/equal_time/equal_time.py DATA --budget 20min --dynamics mace,equipot-mace --peers FOLDER

The first line trains by the documented recipe, or by the other package's (arms.py). The second one tries three learning
rates, then three batches at the best of them, chooses by the forces of the validation frames, and trains the chosen one
with every seed. The third one runs dynamics with the model of seed 1. What is in the result file is not done again.

DATA is the folder of 3BPA as in three_bpa.py. FOLDER holds the environments of the peers, mace/ and nequip/, and they
are made there if they are not (`mace-torch==0.3.16`, `nequip==0.19.1`). Every arm trains on the same 450 frames, with
the same isolated atoms and cutoff, on one thread. The clock is the processor time of the whole command, from the start
of the process to the written model; on a free core that is wall time. How long an arm's schedule may be follows from
two short runs of it (start-up, and time per epoch or step), so that each is a complete schedule. One worker computes
the test errors of all of them through ASE.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent)]

import ase.io
import numpy as np
import records
import report
from arms import BATCHES, RATES, arms, varied
from budget import seconds
from machine import stamp
from molecule import RESULTS, MoleculeSet, configuration
from peers import Arm, Files
from three_bpa import PUBLISHED, three_bpa

from equipot.data.frame import Frame
from equipot.data.read import read

RESULT = RESULTS / "equal_time_3bpa.json"
NEEDS = {"mace": ["ase", "mace-torch==0.3.16"], "nequip": ["ase", "nequip==0.19.1", "jaxtyping"]}
SHORT = {"mace": (1, 3), "nequip": (1, 3), "equipot": (100, 300)}  # epochs, steps of the two short runs


def install(peers: Path, kind: str) -> None:
    """The environment of a peer, unless it is there."""
    python = peers / kind / "bin" / "python"
    if kind in NEEDS and not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(peers / kind)], check=True)
        torch = [
            line
            for line in (HERE.parents[2] / "constraints.txt").read_text().splitlines()
            if "torch==" in line
        ]
        subprocess.run([str(python), "-m", "pip", "install", "-q", *torch], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *NEEDS[kind]], check=True)


def labelled(frames: list[Frame], path: Path) -> Path:
    """Extended XYZ with the keys that MACE reads by default."""
    out = []
    for frame in frames:
        atoms = frame.atoms()
        atoms.calc = None
        atoms.info["REF_energy"] = float(frame.labels["energy"])
        atoms.arrays["REF_forces"] = np.array(frame.labels["forces"])
        out.append(atoms)
    ase.io.write(path, out, format="extxyz")
    return path


def files_of(chosen: MoleculeSet, frames: int, seed: int, folder: Path, valid: int | None = None) -> Files:
    """The frames of a seed, or, for a short run, the first of them and a share of the validation frames."""
    folder.mkdir(parents=True, exist_ok=True)
    values = configuration(chosen, {}, 450, seed)
    place = values["data"]["split"]
    place["train"], place["valid"] = place["train"][:frames], place["valid"][: valid or None]
    structures = read(chosen.train).structures
    assert chosen.isolated is not None
    atoms = read(chosen.isolated, isolated=True).isolated
    return Files(
        train=labelled([structures[k] for k in place["train"]], folder / "train.xyz"),
        valid=labelled([structures[k] for k in place["valid"]], folder / "valid.xyz"),
        isolated={a.atoms().get_chemical_formula(): float(a.labels["energy"]) for a in atoms},
        configuration=values,
    )


def train(arm: Arm, files: Files, folder: Path, length: int, seed: int) -> float:
    """Processor seconds of the whole command, one thread; RuntimeError with the end of its output if it fails."""
    command = arm.prepare(files, folder, length, seed)
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    # mace's e3nn 0.4 reads a pickle of its own when imported; nobody else is allowed to
    pickles = {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"} if arm.kind == "mace" else {}
    # our programs are compiled in every run: kept ones would leave their time out, or slow the first short run alone
    kernels = {"EQUIPOT_CACHE": str(folder / "kernels")} if arm.kind == "equipot" else {}
    environment = {**os.environ, **threads, **pickles, **kernels, **arm.environment, **imports(arm)}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with open(folder / "output.log", "w", encoding="utf-8") as log:
        done = subprocess.run(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(
            f"{arm.name}: exit {done.returncode}\n{(folder / 'output.log').read_text()[-3000:]}"
        )
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def imports(arm: Arm) -> dict[str, str]:
    """Where a peer that takes our recipe finds it."""
    ours = (HERE, HERE.parents[2] / "src")
    return {"PYTHONPATH": os.pathsep.join(map(str, ours))} if arm.recipe == "equipot" else {}


def length_for(arm: Arm, chosen: MoleculeSet, budget: float, path: Path, folder: Path) -> int:
    """Epochs or steps in the budget, from two short runs on a tenth of the frames, kept in the result file.

    A run before these two reads everything from disk for the first time and writes Python's bytecode, which would make
    the first of two look long and a unit short. Programs that a package compiles are kept by PyTorch from run to run:
    that run makes them, and what it took longer is kept apart. The budget is without it, to the advantage of who
    compiles. Ours are part of the budget.
    """
    known, name = records.load(path).get("costs", {}), arm.cost_as or arm.name
    if name not in known:
        share = 10 if arm.kind in NEEDS else 1
        files = files_of(chosen, 450 // share, 1, folder / "short", 50 // share)
        few, many = SHORT[arm.kind]
        cold = train(arm, files, folder / "cold", few, 1)
        first, second = (train(arm, files, folder / f"short-{n}", n, 1) for n in (few, many))
        if second <= first:
            raise RuntimeError(
                f"{arm.name}: {many} epochs or steps took {second:.0f} s, {few} took {first:.0f} s. Run it again on a"
                " machine that does nothing else."
            )
        each = share * (second - first) / (many - few)
        known[name] = {"start": first - few * each / share, "each": each}
        if arm.settings.get("compile_mode"):
            known[name]["compilation"] = cold - first
        records.note(path, "costs", {**records.load(path).get("costs", {}), name: known[name]})
    cost = known[name]
    return max(1, int((budget - cost["start"]) / cost["each"]))


def errors(arm: Arm, model: Path, frames: list[Frame]) -> dict[str, Any]:
    """RMSE and MAE of the total energy in eV and of force components in eV/Å."""
    made = predicted(arm, model, frames)
    energy = made["energy"] - [float(f.labels["energy"]) for f in frames]
    forces = made["forces"] - np.stack([f.labels["forces"] for f in frames])
    return {
        label: {"rmse": float(np.sqrt((x**2).mean())), "mae": float(np.abs(x).mean())}
        for label, x in (("energy", energy), ("forces", forces))
    }


def predicted(arm: Arm, model: Path, frames: list[Frame], *words: str) -> dict[str, np.ndarray]:
    """What predict.py finds in the arm's environment; more words make it run dynamics."""
    with tempfile.TemporaryDirectory() as scratch:
        given, out = Path(scratch) / "frames.xyz", Path(scratch) / "out.npz"
        labelled(frames, given)
        command = [
            str(arm.python),
            str(HERE / "predict.py"),
            arm.kind,
            str(model),
            str(given),
            str(out),
            *words,
        ]
        environment = {**os.environ, **imports(arm), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{arm.name}: predict.py, exit {done.returncode}\n{done.stderr[-3000:]}")
        with np.load(out) as made:
            return dict(made)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Runs of one budget, each in a folder of its own; what is in the result file is not done again."""

    chosen: MoleculeSet
    peers: Path
    budget: float
    result: Path
    folder: Path

    def key(self, arm: Arm, seed: int) -> str:
        """Of a run in the result file."""
        return f"{arm.name}, {self.budget / 60:g} min, seed {seed}"

    def place(self, arm: Arm, seed: int) -> Path:
        """The folder of a run."""
        return self.folder / self.key(arm, seed).replace(", ", "-").replace(" ", "-")

    def attempt(self, arm: Arm, seed: int, tests: bool = True) -> records.Record:
        """Train, and compare with the validation frames and, unless tuning only tries it, the test sets."""
        key, place = self.key(arm, seed), self.place(arm, seed)
        entry = records.load(self.result)["runs"].get(key)
        if entry is None:
            print(f"== {key}", flush=True)
            install(self.peers, arm.kind)
            made, steps = stamp(), self.length(arm)
            shutil.rmtree(
                place, ignore_errors=True
            )  # what an unfinished run left would be taken for the model
            spent = train(arm, files_of(self.chosen, 450, seed, place / "data"), place, steps, seed)
            entry = {
                "arm": arm.name,
                "kind": arm.kind,
                "what": arm.what,
                "seed": seed,
                "length": steps,
                **made,
            }
            entry |= {"base": arm.base or arm.name, "rate": arm.rate, "batch": arm.batch}
            entry |= {
                "budget_seconds": self.budget,
                "cpu_seconds": spent,
                "settings": arm.settings,
                "errors": {},
            }
        sets = {name: list(frames.structures) for name, frames in self.chosen.tests.items() if tests}
        sets[report.VALIDATION] = validation(self.chosen, seed)
        missing = {name: frames for name, frames in sets.items() if name not in entry["errors"]}
        if missing and arm.model(place).exists():
            found = {name: errors(arm, arm.model(place), frames) for name, frames in missing.items()}
            entry["errors"] = entry["errors"] | found
            self.keep(key, entry)
        return entry

    def length(self, arm: Arm) -> int:
        """Epochs or steps in the budget."""
        return length_for(arm, self.chosen, self.budget, self.result, self.folder / (arm.cost_as or arm.name))

    def tune(self, arm: Arm, seeds: int) -> None:
        """Three rates, then three batches at the best of them; the best of all for every seed."""

        def best(tried: list[Arm]) -> Arm:
            found = {a.name: self.attempt(a, 1, tests=False)["errors"][report.VALIDATION] for a in tried}
            return min(tried, key=lambda a: found[a.name]["forces"]["rmse"])

        rate = best([varied(arm, rate, 1.0) for rate in RATES]).rate
        chosen = best([varied(arm, rate, batch) for batch in BATCHES])
        for seed in range(1, seeds + 1):
            entry = self.attempt(chosen, seed)
            self.keep(self.key(chosen, seed), {**entry, "chosen": True})

    def dynamics(self, arm: Arm, steps: int) -> None:
        """Of the model of seed 1, from the first frame at 1200 K."""
        key = self.key(arm, 1)
        entry = self.attempt(arm, 1)
        if "dynamics" not in entry:
            print(f"== {key}, dynamics", flush=True)
            start = list(self.chosen.tests["1200 K"].structures)[:1]
            found = predicted(arm, arm.model(self.place(arm, 1)), start, str(steps))
            self.keep(key, {**entry, "dynamics": summary(found, len(start[0].atoms()), steps)})

    def keep(self, key: str, entry: records.Record) -> None:
        """In the result file."""
        header = {
            "what": "3BPA, 450 + 50 frames at 300 K: each package on one thread for the same time, start-up included",
            "published": {n: {t: list(pair) for t, pair in v.items()} for n, v in PUBLISHED.items()},
        }
        records.add(self.result, header, key, entry)


def validation(chosen: MoleculeSet, seed: int) -> list[Frame]:
    """The 50 frames on which every arm of a seed chooses its weights."""
    frames = read(chosen.train).structures
    return [frames[k] for k in configuration(chosen, {}, 450, seed)["data"]["split"]["valid"]]


def summary(found: dict[str, np.ndarray], atoms: int, asked: int) -> dict[str, float | int | None]:
    """Of a run of dynamics: how long it was stable, how its energy drifted, how long a step took."""
    energy, timestep = found["energy"], float(found["timestep"])
    times = timestep * 1e-3 * np.arange(len(energy))  # ps
    kept = np.isfinite(energy)
    slope = np.polyfit(times[kept], energy[kept], 1)[0] if kept.sum() > 1 else None
    return {
        **{"steps": len(energy), "steps_asked": asked, "stable_fs": timestep * len(energy)},
        "drift_meV_per_atom_ps": None if slope is None else 1e3 * float(slope) / atoms,
        "us_per_atom": 1e6 * float(found["seconds_per_step"]) / atoms,
    }


def names(text: str) -> list[str]:
    """A list of arms."""
    return text.split(",")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="?", help="folder of 3BPA")
    parser.add_argument("--peers", type=Path, default=Path("peers"), help="folder of their environments")
    parser.add_argument("--arms", type=names, default=[], help="train these")
    parser.add_argument("--tune", type=names, default=[], help="try rates and batches of these")
    parser.add_argument("--dynamics", type=names, default=[], help="run dynamics with these")
    parser.add_argument("--steps", type=int, default=2000, help="of dynamics")
    parser.add_argument("--budget", type=seconds, default=900.0, help="of each run: 15min, 1h")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument("--result", type=Path, default=RESULT)
    parser.add_argument("--measure", action="store_true", help="measure start-up and time per unit, and stop")
    parser.add_argument("--table", action="store_true", help="print the tables of the result file and stop")
    given = parser.parse_args()
    if not given.table:
        if given.data is None:
            raise SystemExit("Name the folder of 3BPA, or ask for --table.")
        known, peers = arms(given.peers.resolve()), given.peers.resolve()
        unknown = [n for n in (*given.arms, *given.tune, *given.dynamics) if n not in known]
        if unknown:
            raise SystemExit(f"{unknown[0]}: no arm of that name. There are {', '.join(known)}.")
        bench = Bench(
            chosen=three_bpa(given.data.resolve()),
            peers=peers,
            budget=given.budget,
            result=given.result,
            folder=given.out.resolve() / "equal_time",
        )
        for seed in range(1, given.seeds + 1):
            for name in given.arms:
                bench.length(known[name]) if given.measure else bench.attempt(known[name], seed)
        for name in given.tune:
            bench.tune(known[name], given.seeds)
        for name in given.dynamics:
            bench.dynamics(known[name], given.steps)
    record = records.load(given.result)
    print("\n".join([*report.table(record), "", *report.tuning(record)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
