"""One small model of alpha-quartz: energy, forces, stress, Born charges and polarizability.

    python benchmarks/spectra/train_quartz.py DATA

DATA is a folder with dielectric_sio2/SiO2_160.xyz.xz: 160 frames of 72 atoms in one cell (Falletta et al., Nat.
Commun. 2025), of which 130 are for training, 10 for validation and 20 are held out. `quartz.py` goes on from here. The
run can be stopped and started again.
"""

import argparse
import lzma
import time
from pathlib import Path
from typing import Any

import torch

from equipot import api
from equipot.train.run import Run


def configuration(frames: Path, steps: int) -> dict[str, Any]:
    """NequIP with 16 channels up to l = 2, our recipe."""
    return {
        "data": {
            "train": str(frames),
            "valid": 10,
            "test": 20,
            "keys": {"energy": "total_energy", "born_charges": "born_charge"},
            "units": {"polarizability": "e*Å^2/V"},
            "symmetrize": ["polarizability"],
        },
        "model": {"name": "nequip", "cutoff": 4.5, "channels": 16, "l_max": 2, "num_layers": 3},
        "targets": {
            "energy": {"forces": True, "stress": True},
            "born_charges": {},
            "polarizability": {},
            "total_charge": 0,
        },
        "train": {"steps": steps, "batch": 1, "seed": 1, "checkpoint_seconds": 60, "device": "cpu"},
    }


def unpacked(data: Path, folder: Path) -> Path:
    """The frames as plain extended XYZ."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "SiO2.xyz"
    if not path.exists():
        path.write_bytes(lzma.decompress((data / "dielectric_sio2" / "SiO2_160.xyz.xz").read_bytes()))
    return path


def train(data: Path, folder: Path, steps: int) -> Run:
    """The finished run in FOLDER/train; one that was stopped goes on."""
    torch.set_num_threads(1)
    started = time.process_time()

    def observe(step: int, total: int, text: str) -> None:
        if step % 100 == 0:
            print(f"{step}/{total} {time.process_time() - started:.0f} s of CPU time {text}", flush=True)

    values = configuration(unpacked(data, folder), steps)
    return api.train(values, folder / "train", observe=observe, say=print)


def parser(description: str | None) -> argparse.ArgumentParser:
    """Arguments that training and spectra share."""
    out = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    out.add_argument("data", type=Path)
    out.add_argument("--steps", type=int, default=6000)
    out.add_argument("--out", type=Path, default=Path("runs/quartz"))
    return out


def main() -> None:
    arguments = parser(__doc__).parse_args()
    print(train(arguments.data, arguments.out, arguments.steps).metrics["test"])


if __name__ == "__main__":
    main()
