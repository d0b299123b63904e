"""Train on from a model file: teach it the polarizability, and leave its forces alone.

    python fine_tuning.py [model.equipot]

Without a model file a small one is trained first, half a minute in all. Ends in the error of the forces after the
training over that before: body and energy are frozen, so it is one.
"""

import sys
import tempfile
from pathlib import Path

import ase.io

import equipot
from equipot.data.shipped import ethanol


def trained(folder: Path) -> Path:
    """A model of a few seconds."""
    config = {
        "data": {"train": str(ethanol()), "valid": 40},
        "model": {"channels": 32, "num_layers": 2, "num_radial": 12, "cutoff": 4.0},
        "targets": {"dipole": {}, "total_charge": 0},
        "train": {"epochs": 6, "batch": 10},
    }
    return equipot.train(config, folder).model


def show(title: str, drift: dict) -> None:
    """Mean absolute errors before and after, in eV and Å."""
    print(f"{title}, {drift['frames']} frames:")
    for name, row in drift["rows"].items():
        before, after = (f"{row[k]['mae']:.4f}" if row[k] else "none" for k in ("before", "after"))
        print(f"    {name:16}{before:>8} -> {after:>8} {row['unit']}")


with tempfile.TemporaryDirectory() as temporary:
    folder = Path(temporary)
    parent = Path(sys.argv[1]) if len(sys.argv) > 1 else trained(folder / "parent")

    hot = [f.atoms() for f in equipot.read(ethanol()).structures if f.group == "md_1000K"]
    ase.io.write(folder / "hot.xyz", hot[:120], format="extxyz")
    config = {
        "data": {"train": str(folder / "hot.xyz"), "valid": 20},
        "targets": {"polarizability": {}},
        "train": {"epochs": 8, "batch": 8, "learning_rate": 1e-3},
    }
    # with everything free, leave out `freeze`
    start = {"model": str(parent), "freeze": ["model", "heads.energy"], "old": str(ethanol())}
    run = equipot.train(config, folder / "run", start=start, say=print)

show("what was learned", run.metrics["drift"]["new"])
show("what was forgotten", run.metrics["drift"]["old"])
forces = run.metrics["drift"]["new"]["rows"]["forces"]
print(f"force errors, after over before: {forces['after']['mae'] / forces['before']['mae']:.6f}")
