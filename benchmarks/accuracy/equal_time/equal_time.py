"""Equal wall-clock: what a user gets from MACE, NequIP and equipot in the same time, each with its documented recipe.

    python benchmarks/accuracy/equal_time/equal_time.py DATA --budget 15min --arms mace,equipot-mace --peers FOLDER

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
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent)]

import ase.io
import numpy as np
import records
from budget import seconds
from machine import stamp
from molecule import RESULTS, MoleculeSet, configuration
from peers import Arm, Files
from settings import settings
from three_bpa import PUBLISHED, three_bpa

from equipot.data.frame import Frame
from equipot.data.read import read

RESULT = RESULTS / "equal_time_3bpa.json"
NEEDS = {"mace": ["ase", "mace-torch==0.3.16"], "nequip": ["ase", "nequip==0.19.1"]}
SHORT = {"mace": (1, 3), "nequip": (1, 3), "equipot": (200, 600)}  # epochs, steps of the two short runs


def arms(peers: Path) -> dict[str, Arm]:
    """Peers as their manuals say; their architectures in ours; and what a user gets who names nothing."""
    python = {name: peers / name / "bin" / "python" for name in NEEDS}
    like_mace = {
        "name": "mace",
        "channels": 128,
        "l_max": 3,
        "l_hidden": 1,
        "correlation": 3,
        "num_layers": 2,
    }
    like_mace |= {"num_radial": 8, "radial_hidden": (64, 64, 64), "envelope_power": 5, "cutoff": 5.0}
    like_nequip = {
        "name": "nequip",
        "channels": 32,
        "l_max": 1,
        "parity": True,
        "num_layers": 4,
        "num_radial": 8,
    }
    like_nequip |= {"radial_hidden": (64, 64), "trainable_radial": False, "envelope_power": 6, "cutoff": 5.0}
    ours = Path(sys.executable)
    made = (
        Arm(name="mace", kind="mace", python=python["mace"], what="MACE, documented recipe"),
        Arm(name="nequip", kind="nequip", python=python["nequip"], what="NequIP, tutorial configuration"),
        Arm(
            name="nequip-compiled",
            kind="nequip",
            python=python["nequip"],
            what="NequIP, tutorial configuration, compiled",
            settings={"compile_mode": "compile"},
        ),
        *(
            Arm(name=f"equipot-{m['name']}", kind="equipot", python=ours, what=what, settings={"model": m})
            for m, what in (
                (like_mace, "equipot, the same MACE"),
                (like_nequip, "equipot, the same NequIP"),
            )
        ),
        *(
            Arm(
                name=f"equipot-{m}-small",
                kind="equipot",
                python=ours,
                what=f"equipot, {m} small as above",
                settings={"model": settings(m, "small", "three_bpa")},
            )
            for m in ("painn", "nequip", "mace")
        ),
    )
    return {arm.name: arm for arm in made}


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
    environment = {**os.environ, **threads, **pickles}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with open(folder / "output.log", "w", encoding="utf-8") as log:
        done = subprocess.run(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(
            f"{arm.name}: exit {done.returncode}\n{(folder / 'output.log').read_text()[-3000:]}"
        )
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def length_for(arm: Arm, chosen: MoleculeSet, budget: float, path: Path, folder: Path) -> int:
    """Epochs or steps in the budget, from two short runs on a tenth of the frames, kept in the result file."""
    known = records.load(path).get("costs", {})
    if arm.name not in known:
        share = 10 if arm.kind in NEEDS else 1
        files = files_of(chosen, 450 // share, 1, folder / "short", 50 // share)
        few, many = SHORT[arm.kind]
        first, second = (train(arm, files, folder / f"short-{n}", n, 1) for n in (few, many))
        each = share * (second - first) / (many - few)
        known[arm.name] = {"start": first - few * each / share, "each": each}
        records.note(path, "costs", {**records.load(path).get("costs", {}), arm.name: known[arm.name]})
    cost = known[arm.name]
    return max(1, int((budget - cost["start"]) / cost["each"]))


def errors(arm: Arm, model: Path, chosen: MoleculeSet) -> dict[str, Any]:
    """RMSE and MAE of the total energy in eV and of force components in eV/Å, on every test set."""
    found = {}
    for name, frames in chosen.tests.items():
        with tempfile.TemporaryDirectory() as scratch:
            given, out = Path(scratch) / "frames.xyz", Path(scratch) / "out.npz"
            labelled(list(frames.structures), given)
            command = [str(arm.python), str(HERE / "predict.py"), arm.kind, str(model), str(given), str(out)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            with np.load(out) as made:
                energy = made["energy"] - [float(f.labels["energy"]) for f in frames.structures]
                forces = made["forces"] - np.stack([f.labels["forces"] for f in frames.structures])
        found[name] = {
            label: {"rmse": float(np.sqrt((x**2).mean())), "mae": float(np.abs(x).mean())}
            for label, x in (("energy", energy), ("forces", forces))
        }
    return found


def table(record: records.Record) -> list[str]:
    """Rows of Markdown."""
    if not record["runs"]:
        return []
    tests = list(next(iter(record["runs"].values()))["errors"])
    lines = [f"| RMSE, energy in meV / forces in meV/Å | budget | length | {' | '.join(tests)} |"]
    lines.append("|---" * (3 + len(tests)) + "|")
    known = arms(Path())
    order = list(known)
    for entry in sorted(record["runs"].values(), key=lambda e: (e["budget_seconds"], order.index(e["arm"]))):
        cells = [
            " / ".join(f"{1e3 * entry['errors'][t][n]['rmse']:.1f}" for n in ("energy", "forces"))
            for t in tests
        ]
        units = "epochs" if entry["kind"] in NEEDS else "steps"
        lines.append(
            f"| {known[entry['arm']].what} | {entry['cpu_seconds'] / 60:.1f} of {entry['budget_seconds'] / 60:g} min "
            f"| {entry['length']} {units} | {' | '.join(cells)} |"
        )
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="?", help="folder of 3BPA")
    parser.add_argument("--peers", type=Path, default=Path("peers"), help="folder of their environments")
    parser.add_argument("--arms", type=lambda t: t.split(","), default=list(arms(Path())))
    parser.add_argument("--budget", type=seconds, default=900.0, help="of each run: 15min, 1h")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument("--result", type=Path, default=RESULT)
    parser.add_argument("--measure", action="store_true", help="measure start-up and time per unit, and stop")
    parser.add_argument("--table", action="store_true", help="print the table of the result file and stop")
    given = parser.parse_args()
    if not given.table:
        if given.data is None:
            raise SystemExit("Name the folder of 3BPA, or ask for --table.")
        chosen, folder = three_bpa(given.data), given.out.resolve() / "equal_time"
        known = arms(given.peers.resolve())
        for seed in range(1, given.seeds + 1):
            for arm in (known[name] for name in given.arms):
                attempt(arm, chosen, seed, given, folder)
    print("\n".join(table(records.load(given.result))))
    return 0


def attempt(arm: Arm, chosen: MoleculeSet, seed: int, given: argparse.Namespace, folder: Path) -> None:
    """One run, unless it is in the file."""
    key = f"{arm.name}, {given.budget / 60:g} min, seed {seed}"
    if key in records.load(given.result)["runs"]:
        print(f"{key}: there already.", flush=True)
        return
    print(f"== {key}", flush=True)
    install(given.peers.resolve(), arm.kind)
    made, place = stamp(), folder / key.replace(", ", "-").replace(" ", "-")
    length = length_for(arm, chosen, given.budget, given.result, folder / arm.name)
    if given.measure:
        return
    spent = train(arm, files_of(chosen, 450, seed, place / "data"), place, length, seed)
    header = {
        "what": "3BPA, 450 + 50 frames at 300 K: each package on one thread for the same time, start-up included",
        "published": {n: {t: list(pair) for t, pair in v.items()} for n, v in PUBLISHED.items()},
    }
    entry = {"arm": arm.name, "kind": arm.kind, "what": arm.what, "seed": seed, "length": length, **made}
    entry |= {"budget_seconds": given.budget, "cpu_seconds": spent, "settings": arm.settings}
    records.add(given.result, header, key, {**entry, "errors": errors(arm, arm.model(place), chosen)})


if __name__ == "__main__":
    sys.exit(main())
