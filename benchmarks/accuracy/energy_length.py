"""How the length ℓ of the loss should go from 0.2 to 0.07 Å: switched at the cooldown, or ramped through it.

    python benchmarks/accuracy/energy_length.py [--epochs 20] [--seeds 1]

PaiNN (small) on the shipped ethanol set; every arm is the same run but for ℓ(step). A third arm keeps 0.2 Å.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from machine import stamp

from equipot import api
from equipot.data.shipped import ethanol
from equipot.train.loop import Trainer
from equipot.train.loss import LENGTH, LENGTH_COOLDOWN

RESULT = Path(__file__).resolve().parent.parent / "results" / "energy_length.json"
ARMS: dict[str, Callable[[float], float]] = {
    "switched": lambda cooled: LENGTH_COOLDOWN if cooled > 0 else LENGTH,
    "ramped over half of the cooldown": lambda cooled: (
        LENGTH * (LENGTH_COOLDOWN / LENGTH) ** min(2 * cooled, 1.0)
    ),
    "constant 0.2": lambda cooled: LENGTH,
}


def trial(arm: str, seed: int, epochs: int) -> dict[str, float]:
    """Test errors of one run."""
    length = ARMS[arm]
    Trainer._length = lambda self: length(self.schedule.cooled(self.step))  # type: ignore[method-assign]
    folder = Path("runs/energy-length")
    shutil.rmtree(folder, ignore_errors=True)
    values = {
        "data": {"train": str(ethanol()), "valid": 50, "test": 150},
        "model": {"name": "painn", "size": "small"},
        "targets": {"dipole": {}, "polarizability": {}, "total_charge": 0},
        "train": {"batch": 5, "epochs": epochs, "seed": seed},
    }
    test = api.train(values, folder).metrics["test"]
    return {name: row["mae"] for name, row in test.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    found = {}
    for arm in ARMS:
        found[arm] = [trial(arm, seed, arguments.epochs) for seed in range(1, arguments.seeds + 1)]
        print(arm, found[arm], flush=True)
    result = {
        "what": "test MAE by seed, eV, eV/Å, e·Å, Å³",
        "epochs": arguments.epochs,
        "arms": found,
        **stamp(),
    }
    RESULT.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
