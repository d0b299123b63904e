"""Energy and forces, and a training step, beside the packages they come from: same hyper-parameters, same structures.

    python benchmarks/speed/peers.py --peers FOLDER --threads 2
    python benchmarks/speed/peers.py --pairs mace,nequip-aoti --cases aspirin,water192
    python benchmarks/speed/peers.py --table

FOLDER holds the environments of the peers, which are made there if they are not. For every pair two workers live at
once and take turns, block by block, with the same threads, the same allocator settings and neighbor lists made before
(TorchMD-Net makes its own inside the model). Ratios are of the fastest calls of neighboring blocks. The mode of a peer
is in the name of the pair; ours is frozen for energy and forces, as in its calculators. PaiNN runs with the peer's
weights and must give the same energies. Pairs that are in the result file are measured again only with --again.

Compiled training steps are measured when asked for, --pairs nequip-compile,allegro-compile: compilation may take longer
than --limit minutes, after which the pair counts as failed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "accuracy")]

import records
from machine import stamp

RESULT = HERE.parent / "results" / "speed_peers.json"
CASES = ("aspirin", "aspirin64", "water192", "water1536", "train")
# glibc gives large blocks back and faults them in again, which costs eager code up to half of its time
ALLOCATOR = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "100000000000",
    "MALLOC_TOP_PAD_": "268435456",
}
PACKAGES = {
    "nequip": (["ase", "nequip==0.19.1", "nequip-allegro==0.8.3"], []),
    "mace": (["ase", "mace-torch==0.3.16"], []),
    "torchmd": (["ase", "torchmd-net==3.1.0"], []),
    # declares Python >= 3.12 but runs on 3.11; its own list of requirements would bring another torch
    "schnetpack": (
        [
            *("ase", "h5py", "pyyaml", "hydra-core", "hydra-colorlog", "rich", "pytorch-lightning"),
            *("torchmetrics", "tqdm", "fasteners", "matscipy", "progressbar2", "dirsync", "tensorboardX"),
            "vesin",
        ],
        ["torch_ema", "petname", "schnetpack==2.2.0"],
    ),
}
# pair -> package, its model, its mode, our model
PAIRS = {
    "painn": ("schnetpack", "painn", "eager", "painn"),
    "painn-torchscript": ("schnetpack", "painn", "torchscript", "painn"),
    "schnet": ("schnetpack", "schnet", "eager", "schnet"),
    "nequip": ("nequip", "nequip", "eager", "nequip"),
    "nequip-aoti": ("nequip", "nequip", "aoti", "nequip"),
    "nequip-compile": ("nequip", "nequip", "compile", "nequip"),
    "allegro": ("nequip", "allegro", "eager", "allegro"),
    "allegro-aoti": ("nequip", "allegro", "aoti", "allegro"),
    "allegro-compile": ("nequip", "allegro", "compile", "allegro"),
    "mace": ("mace", "mace", "eager", "mace"),
    "mace-torchscript": ("mace", "mace", "torchscript", "mace"),
    "tensornet": ("torchmd", "tensornet", "eager", "tensornet"),
}
# what a mode is for; the ahead-of-time model is of one structure
CASES_OF = {
    "aoti": ("aspirin", "water192", "water1536"),
    "compile": ("train",),
    "torchscript": ("aspirin", "aspirin64", "water192", "water1536"),
}


def environment(peers: Path, package: str) -> Path:
    """The Python of a peer's environment, made when it is missing."""
    home = peers / package
    done, python = home / ".complete", home / "bin" / "python"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        constraints = HERE.parents[1] / "constraints.txt"
        torch = next(line for line in constraints.read_text().splitlines() if line.startswith("torch=="))
        limit = home / "constraints.txt"
        limit.write_text(torch + "\n")
        pip = [str(python), "-m", "pip", "install", "-q"]
        needs, bare = PACKAGES[package]
        subprocess.run([*pip, torch], check=True)
        subprocess.run([*pip, "-c", str(limit), *needs], check=True)
        if bare:
            subprocess.run([*pip, "--no-deps", "--ignore-requires-python", *bare], check=True)
        done.touch()
    return python


class Worker:
    """A process with one model."""

    def __init__(self, python: str | Path, script: str, model: str, mode: str, given: argparse.Namespace):
        settings = {"OMP_NUM_THREADS": str(given.threads), "MKL_NUM_THREADS": str(given.threads)}
        settings |= ALLOCATOR if given.allocator == "keep" else {}
        # mace's e3nn 0.4 reads a pickle of its own when imported; nobody else is allowed to
        settings |= {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"} if script == "mace" else {}
        self.name = f"{script} {model} {mode}"
        self.limit = 60 * given.limit
        self.process = subprocess.Popen(
            [str(python), str(HERE / "sides" / f"side_{script}.py"), model, mode],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **settings},
        )

    def ask(self, **order: Any) -> dict[str, Any]:
        """Its answer, whatever it or its libraries print besides; RuntimeError if it fails or is not back in time."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        late = threading.Timer(self.limit, self.stop)
        started = time.monotonic()
        late.start()
        try:
            lines = (line for line in self.process.stdout if line.startswith("{"))
            answer = json.loads(next(lines, "{}"))
        finally:
            late.cancel()
            in_time = time.monotonic() - started < self.limit
        if "failed" in answer:
            raise RuntimeError(f"{self.name}: {answer['failed']}")
        if not answer:
            why = (
                f"exit code {self.process.wait()}" if in_time else f"no answer in {self.limit / 60:g} minutes"
            )
            raise RuntimeError(f"{self.name} ended: {why}")
        return answer

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def measure(pair: str, case: str, given: argparse.Namespace) -> dict[str, Any]:
    """Both sides of a pair in turns."""
    package, model, mode, ours = PAIRS[pair]
    python = environment(given.peers, package)
    workers = {
        "peer": Worker(python, package, model, mode, given),
        "equipot": Worker(
            sys.executable, "equipot", ours, "eager" if case == "train" else "calculator", given
        ),
    }
    try:
        with tempfile.TemporaryDirectory() as folder:
            shared = (
                {"weights": f"{folder}/weights.npz"} if pair.startswith("painn") and case != "train" else {}
            )
            about = {
                n: w.ask(do="prepare", case=case, write=n == "peer", **shared) for n, w in workers.items()
            }
        times: dict[str, list[dict[str, Any]]] = {name: [] for name in workers}
        for _ in range(given.blocks):
            for name, worker in workers.items():
                times[name].append(worker.ask(do="time", seconds=given.seconds))
    finally:
        for worker in workers.values():
            worker.stop()
    ratios = {
        key: [a[key] / b[key] for a, b in zip(times["peer"], times["equipot"], strict=True)]
        for key in ("milliseconds", "cpu_milliseconds")
    }
    found: dict[str, Any] = {"ratio": statistics.median(ratios["milliseconds"])}
    found |= {"smallest_ratio": min(ratios["milliseconds"]), "largest_ratio": max(ratios["milliseconds"])}
    found["ratio_of_cpu_time"] = statistics.median(ratios["cpu_milliseconds"])
    forces = {name: np.array(a.pop("forces", [])) for name, a in about.items()}
    if shared:
        found["energy_difference"] = about["peer"]["energy"] - about["equipot"]["energy"]
        found["largest_force_difference"] = float(np.abs(forces["peer"] - forces["equipot"]).max())
    for name in workers:
        milliseconds = statistics.median(t["milliseconds"] for t in times[name])
        cpu = statistics.median(t["cpu_milliseconds"] for t in times[name])
        found[name] = {"milliseconds": milliseconds, "cpu_milliseconds": cpu, **about[name]}
    return found


def table(record: records.Record) -> list[str]:
    """Rows of Markdown: milliseconds of the peer and ours, and the ratio, by pair and case; then the memory."""
    return [
        *ratios(record),
        "",
        "Memory that the structure and three calls add, MB, likewise:",
        "",
        *_memory(record),
    ]


def ratios(record: records.Record) -> list[str]:
    """The first of the two tables alone."""
    return _table(record, _cell)


def _memory(record: records.Record) -> list[str]:
    return _table(record, lambda e: _pair(e, "added_megabytes"))


def _table(record: records.Record, cell: Callable[[dict[str, Any]], str]) -> list[str]:
    lines = ["| | threads | " + " | ".join(CASES) + " |", "|---" * (2 + len(CASES)) + "|"]
    groups: dict[tuple[str, int], dict[str, Any]] = {}
    for entry in record["runs"].values():
        groups.setdefault((entry["pair"], entry["threads"]), {})[entry["case"]] = entry
    for (pair, threads), cases in sorted(groups.items(), key=lambda g: (list(PAIRS).index(g[0][0]), g[0][1])):
        cells = [_shown(cases.get(case), cell) for case in CASES]
        lines.append(f"| {pair} | {threads} | {' | '.join(cells)} |")
    return lines


def _shown(entry: dict[str, Any] | None, cell: Callable[[dict[str, Any]], str]) -> str:
    if entry is None:
        return ""
    return "failed" if "failed" in entry else cell(entry)


def _cell(entry: dict[str, Any]) -> str:
    return f"{_pair(entry, 'milliseconds')} = **{entry['ratio']:.1f}**"


def _pair(entry: dict[str, Any], key: str) -> str:
    return " / ".join(short(entry[side][key]) for side in ("peer", "equipot"))


def short(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    usual = [name for name, (_, _, mode, _) in PAIRS.items() if mode != "compile"]
    parser.add_argument("--peers", type=Path, default=Path("peers"), help="folder of their environments")
    parser.add_argument("--pairs", type=lambda t: t.split(","), default=usual)
    parser.add_argument("--limit", type=float, default=30.0, help="minutes that a worker may take to answer")
    parser.add_argument("--cases", type=lambda t: t.split(","), default=list(CASES))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of a block, at least one call")
    parser.add_argument("--allocator", choices=("keep", "default"), default="keep", help="keep: large blocks")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--result", type=Path, default=RESULT)
    parser.add_argument("--table", action="store_true", help="print the table of the result file and stop")
    given = parser.parse_args()
    given.peers = given.peers.resolve()
    for pair in [] if given.table else given.pairs:
        for case in given.cases:
            if case in CASES_OF.get(PAIRS[pair][2], CASES):
                attempt(pair, case, given)
    print("\n".join(table(records.load(given.result))))
    return 0


def attempt(pair: str, case: str, given: argparse.Namespace) -> None:
    """Measure, unless it is in the file; what fails is in the file, too."""
    key = f"{pair}, {case}, {given.threads} threads" + (
        "" if given.allocator == "keep" else ", default malloc"
    )
    if key in records.load(given.result)["runs"] and not given.again:
        print(f"{key}: there already.", flush=True)
        return
    package, _, mode, _ = PAIRS[pair]
    about = {"pair": pair, "case": case, "threads": given.threads, "allocator": given.allocator}
    about |= {"peer_mode": mode, "packages": PACKAGES[package][0][1:] + PACKAGES[package][1]}
    about |= {"load_at_start": os.getloadavg()[0], **stamp()}
    try:
        found = measure(pair, case, given)
        print(f"{key}: {_cell(found)}", flush=True)
    except RuntimeError as failure:
        found = {"failed": str(failure)}
        print(f"{key}: {failure}", flush=True)
    header = {"what": "Energy and forces, and a training step, beside other packages, float32, CPU"}
    records.add(given.result, header, key, {**about, **found})


if __name__ == "__main__":
    sys.exit(main())
