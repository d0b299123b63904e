"""Seconds of one training step on 3BPA, 5 frames at once, float32: what to plan accuracy runs with.

    python benchmarks/accuracy/step_time.py DATA --models painn,nequip --sizes small,medium
    python benchmarks/accuracy/step_time.py DATA --models nequip --set model.l_max=1 model.channels=32

On a CPU these are CPU seconds, so that other processes disturb little; on a free core wall time is the same.
"""

import argparse
import sys
from pathlib import Path

import records
import torch
from budget import step_time
from molecule import RESULTS, configuration, stamp
from settings import available, settings
from three_bpa import three_bpa


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--models", type=lambda t: t.split(","), default=list(available()))
    parser.add_argument("--sizes", type=lambda t: t.split(","), default=["small"])
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--seconds", type=float, default=10.0, help="of measuring, for each model")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--result", type=Path, default=RESULTS / "step_time_3bpa.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    chosen = three_bpa(arguments.data)
    for name in arguments.models:
        for size in arguments.sizes:
            values = configuration(
                chosen, settings(name, size, chosen.name), train=450, seed=1, device=arguments.device
            )
            made = stamp()
            found = step_time(values, arguments.set, arguments.seconds)
            key = ", ".join([name, size, arguments.device, *arguments.set])
            ms = 1e3 * found["seconds_per_step"]
            print(f"{key}: {ms:.0f} ms, {found['parameters']:,} parameters", flush=True)
            header = {
                "what": "seconds of one training step on 5 frames of 3BPA, float32; CPU: one thread, CPU seconds"
            }
            records.add(arguments.result, header, key, {**found, **made})


if __name__ == "__main__":
    sys.exit(main())
