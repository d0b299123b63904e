"""PaiNN, energy and forces: equipot beside SchNetPack, in turn within one run, with the same weights.

    python benchmarks/speed/painn_schnetpack.py

Makes an environment of its own for SchNetPack (in .bench/, about a minute), hands its weights to our model, checks
that both give the same energy and forces, and then times blocks of evaluations, one code after the other, many times.
Both in eager mode, float32, the same number of threads, neighbor lists made beforehand.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent))
from machine import stamp

RESULT = HERE.parent / "results" / "speed_painn_schnetpack.json"
PEER = ROOT / ".bench" / "schnetpack"
VERSION = "2.2.0"
# SchNetPack 2.2.0 declares Python >= 3.12 but runs on 3.11; its own list of requirements would bring a CUDA build
NEEDS = [
    *("ase", "h5py", "pyyaml", "hydra-core", "hydra-colorlog", "rich", "pytorch-lightning", "torchmetrics"),
    *("tqdm", "fasteners", "matscipy", "progressbar2", "dirsync", "tensorboardX", "vesin"),
]


def environment() -> Path:
    """The Python of SchNetPack's environment, made when it is missing."""
    python = PEER / "bin" / "python"
    done = PEER / ".complete"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", str(PEER)], check=True)
        pip = [str(python), "-m", "pip", "install", "-q"]
        import torch

        subprocess.run([*pip, f"torch=={torch.__version__.partition('+')[0]}"], check=True)
        subprocess.run([*pip, *NEEDS], check=True)
        subprocess.run([*pip, "--no-deps", "torch_ema", "petname"], check=True)
        subprocess.run([*pip, "--no-deps", "--ignore-requires-python", f"schnetpack=={VERSION}"], check=True)
        done.touch()
    return python


class Side:
    """A worker process."""

    def __init__(self, python: str | Path, name: str, threads: int) -> None:
        self.name = name
        self.process = subprocess.Popen(
            [str(python), str(HERE / "worker.py"), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        )

    def ask(self, **order: object) -> dict:
        """Send an order, wait for its answer; what is not JSON is the chatter of a library."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise RuntimeError(f"{self.name} ended with {self.process.wait()}")


def compare(case: str, sides: list[Side], blocks: int, repetitions: int) -> dict:
    """Agreement, and the ratio block by block."""
    answers = [side.ask(do="evaluate", case=case) for side in sides]
    peer, ours = answers
    difference = np.abs(np.array(peer["forces"]) - np.array(ours["forces"])).max()
    times: dict[str, list[dict]] = {side.name: [] for side in sides}
    for side in sides:
        side.ask(do="time", case=case, repetitions=2)
    for _ in range(blocks):
        for side in sides:
            times[side.name].append(side.ask(do="time", case=case, repetitions=repetitions))
    ratios = {
        key: [a[key] / b[key] for a, b in zip(times["schnetpack"], times["equipot"], strict=True)]
        for key in ("milliseconds", "cpu_milliseconds")
    }
    return {
        "edges": {s.name: a["edges"] for s, a in zip(sides, answers, strict=True)},
        "parameters": {s.name: a["parameters"] for s, a in zip(sides, answers, strict=True)},
        "energy_difference": peer["energy"] - ours["energy"],
        "largest_force_difference": float(difference),
        "milliseconds": {n: statistics.median(t["milliseconds"] for t in ts) for n, ts in times.items()},
        "cpu_milliseconds": {
            n: statistics.median(t["cpu_milliseconds"] for t in ts) for n, ts in times.items()
        },
        "ratio_schnetpack_over_equipot": {
            "wall": {"median": statistics.median(r), "min": min(r), "max": max(r)}
            if (r := ratios["milliseconds"])
            else {},
            "cpu": {"median": statistics.median(c), "min": min(c), "max": max(c)}
            if (c := ratios["cpu_milliseconds"])
            else {},
        },
    }


def measure(threads: int, blocks: int) -> dict:
    """Both codes with so many threads."""
    sides = [Side(environment(), "schnetpack", threads), Side(sys.executable, "equipot", threads)]
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "weights.npz")
        for side in sides:
            side.ask(do="weights", path=path)
    cases = {
        "aspirin": compare("aspirin", sides, blocks, 20),
        "water192": compare("water192", sides, blocks, 3),
    }
    for side in sides:
        side.process.terminate()
    return cases


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, nargs="+", default=[2, 1])
    parser.add_argument("--blocks", type=int, default=9)
    arguments = parser.parse_args()
    made, load = stamp(), os.getloadavg()[0]
    found = {str(threads): measure(threads, arguments.blocks) for threads in arguments.threads}
    result = {
        "what": "PaiNN, 128 channels, 3 layers, 20 Gaussians, 5 Å: energy and forces, eager, float32",
        "peer": f"schnetpack {VERSION}",
        "load_at_start": load,
        "cases_by_threads": found,
        **made,
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
