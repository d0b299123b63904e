"""PaiNN on rMD17 aspirin: 950 training and 50 validation frames, errors on a test part.

    python benchmarks/accuracy/rmd17_aspirin.py DATA --epochs 120

DATA is a folder with train.xyz.xz (at least 1000 frames) and test_part.xyz.xz in eV and Å. Published, on the original
MD17 labels with 1000 frames: 6.9 meV and 16.1 meV/Å (Schütt, Unke, Gastegger, ICML 2021, Table 3). Architecture as
published: 128 channels, 3 layers, 20 radial functions, 5 Å. The run can be stopped and started again.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from machine import stamp

from equipot import api

RESULT = Path(__file__).resolve().parent.parent / "results" / "rmd17_aspirin_painn.json"


def configuration(data: Path, epochs: int, batch: int, seed: int) -> dict:
    """The published architecture, our default recipe."""
    return {
        "data": {
            "train": str(data / "train.xyz.xz"),
            "split": {"by": "index", "train": "0:950", "valid": "950:1000"},
            "valid": 50,
            "test": str(data / "test_part.xyz.xz"),
        },
        "model": {"name": "painn", "channels": 128, "num_layers": 3, "num_radial": 20, "cutoff": 5.0},
        "train": {
            "batch": batch,
            "epochs": epochs,
            "preset": "best",
            "seed": seed,
            "checkpoint_seconds": 300,
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--epochs", type=int, default=120)
    parser.add_argument("--batch", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/rmd17-aspirin-painn"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    made = stamp()  # now: the commit that runs, not the one at the end
    values = configuration(arguments.data, arguments.epochs, arguments.batch, arguments.seed)
    started, cpu = time.time(), time.process_time()

    def observe(step: int, total: int, text: str) -> None:
        if step % 500 == 0:
            print(f"{step}/{total} {time.time() - started:.0f} s {text}", flush=True)

    run = api.train(values, arguments.out, observe=observe, say=print)
    log = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    values["data"] |= {"train": "train.xyz.xz", "test": "test_part.xyz.xz"}
    result = {
        "what": "PaiNN on rMD17 aspirin, 950 + 50 frames of train.xyz, 900 test frames",
        "published": {
            "energy_mae_meV": 6.9,
            "forces_mae_meV_per_A": 16.1,
            "source": "ICML 2021, Table 3 (MD17)",
        },
        "test": run.metrics["test"],
        "valid": run.metrics["valid"],
        "steps": log[-1]["step"],
        "epochs": round(log[-1]["epoch"], 1),
        "training_seconds": log[-1]["seconds"],
        "cpu_seconds_of_this_process": round(time.process_time() - cpu),
        "curve": [
            {k: r[k] for k in ("step", "seconds")}
            | {"forces_mae": r["valid"]["forces"]["mae"], "energy_mae": r["valid"]["energy"]["mae"]}
            for r in log
        ],
        "configuration": values,
        **made,
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result["test"], indent=1))


if __name__ == "__main__":
    main()
