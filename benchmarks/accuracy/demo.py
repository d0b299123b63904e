"""The demo as a benchmark: test errors, harmonic frequencies and infrared peaks beside DFT, the time of each step.

    python benchmarks/accuracy/demo.py [--quick]

Runs `equipot demo` in a folder of its own (runs/benchmark-demo) and writes benchmarks/results/demo.json.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from machine import stamp

RESULTS = Path(__file__).resolve().parent.parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    made = stamp()
    folder = Path("runs/benchmark-demo")
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "equipot", "demo", "--out", str(folder), *["--quick"] * arguments.quick]
    subprocess.run(command, check=True)
    found = json.loads((folder / "demo.json").read_text(encoding="utf-8"))
    header = json.loads((folder / "md" / "md.json").read_text(encoding="utf-8"))
    keep = ("temperature", "dt", "stride", "steps", "replicas", "phases", "conservation")
    result = {
        "what": "equipot demo: PaiNN (small) on ethanol, B3LYP/6-31G(d), energy, forces, dipole, polarizability",
        **found,
        "seconds_in_all": round(sum(found["seconds"].values()), 1),
        "dynamics": {k: header[k] for k in keep if k in header},
        **made,
    }
    path = RESULTS / ("demo_quick.json" if arguments.quick else "demo.json")
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(path)


if __name__ == "__main__":
    main()
