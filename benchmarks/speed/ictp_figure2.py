"""Time and memory of many-body models against the degree of their tensors and the order of their products.

    python benchmarks/speed/ictp_figure2.py

Figure 2 of the paper on ICTP (Zaverkin et al., NeurIPS 2024), made anew on one CPU core: energy and forces of a batch
of molecules by two layers of eight channels, untrained, float32, with the same densities. Four
ways to make and store the products:

    couplings    MACE, ((A ⊗ A) ⊗ A) over independent paths, 2l+1 components: the default of equipot
    tensors      MACE, contracted with precomputed tensors U of (l_max+1)^2ν components each
    iterated     ICTP, P_ν = P_{ν−1} ⊗ A over all paths, 2l+1 components
    Cartesian    the same with 3^l components

Left: L = l_max = l_hidden at order three; right: the order at L = 2. Each point runs in a process of its own; memory is
the peak that building the model and evaluating it add, tables included.
"""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from machine import stamp

from equipot.config import parse
from equipot.data.collate import batch_of
from equipot.potential import Potential, PotentialConfig
from equipot.statistics import Statistics
from equipot.testing import molecule

RESULT = HERE.parent / "results" / "speed_ictp_figure2.json"
ELEMENTS, CUTOFF, CHANNELS = (1, 6, 8), 5.0, 8
WAYS: dict[str, dict[str, Any]] = {
    "couplings": {"name": "mace"},
    "tensors": {"name": "mace", "evaluation": "tensors"},
    "iterated": {"name": "ictp", "product": "full", "basis": "spherical"},
    "Cartesian": {"name": "ictp", "product": "full", "basis": "cartesian"},
}
POINTS = [(l, 3) for l in range(4)] + [
    (2, order) for order in (1, 2, 4)
]  # (L, order); (2, 3) is in both panels


def peak_memory() -> int:
    """Bytes of the largest resident set since `forget_peak`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def potential_of(way: str, l: int, order: int) -> Potential:
    model = {
        **WAYS[way],
        "channels": CHANNELS,
        "l_max": l,
        "l_hidden": l,
        "correlation": order,
        "cutoff": CUTOFF,
    }
    known = Statistics(elements=ELEMENTS, mean_neighbors=15.0, reference_energies=(0.0,) * len(ELEMENTS))
    return Potential(parse(PotentialConfig, {"model": model}, "benchmark"), known)


def measure(way: str, l: int, order: int, frames: list, seconds: float) -> dict[str, float]:
    """Median CPU time of an evaluation and added memory, in this process."""
    batch = batch_of(frames, ELEMENTS, CUTOFF)
    potential_of("iterated", 0, 1)(batch, forces=True)  # loads what every model loads
    forget_peak()
    before = peak_memory()
    potential = potential_of(way, l, order)
    potential(batch, forces=True)
    used = peak_memory() - before
    times: list[float] = []
    while len(times) < 3 or sum(times) < seconds:
        start = time.process_time()
        potential(batch, forces=True)
        times.append(time.process_time() - start)
    return {"milliseconds": 1e3 * statistics.median(times), "megabytes": used / 1e6}


def in_a_process_of_its_own(*arguments: Any) -> dict[str, float]:
    """So that neither tables nor freed memory of one point help the next."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receive)
        code = 1
        try:
            os.write(send, json.dumps(measure(*arguments)).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(send)
    with os.fdopen(receive) as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    if status != 0:
        raise RuntimeError(f"{arguments[:3]} failed with status {status}")
    return json.loads(text)


RESOLVED = 1.0  # MB, and ms: less is the noise of a process


def draw(points: list[dict[str, Any]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 2, figsize=(7.5, 5.5), sharex="col", sharey="row", layout="constrained")
    for row, (quantity, unit) in enumerate(
        (("milliseconds", "CPU time, ms"), ("megabytes", "added memory, MB"))
    ):
        for column, (name, label, fixed, value) in enumerate(
            (("l", "L, at order 3", "order", 3), ("order", "order ν, at L = 2", "l", 2))
        ):
            axis = axes[row, column]
            for way in WAYS:
                chosen = sorted(
                    (p[name], max(p[quantity], RESOLVED))
                    for p in points
                    if p["way"] == way and p[fixed] == value
                )
                axis.plot(*zip(*chosen, strict=True), marker="o", label=way)
            axis.set_yscale("log")
            axis.set_xticks(sorted({p[name] for p in points if p[fixed] == value}))
            if row == 1:
                axis.set_xlabel(label)
        axes[row, 0].set_ylabel(unit)
    axes[0, 0].legend(frameon=False)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--draw", action="store_true", help="draw what was measured, and stop")
    parser.add_argument("--molecules", type=int, default=5, help="in the batch, of 21 atoms each")
    parser.add_argument("--seconds", type=float, default=1.0, help="at least, for each point")
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    if options.draw:
        draw(json.loads(options.out.read_text(encoding="utf-8"))["points"], options.out.with_suffix(".png"))
        return
    torch.set_num_threads(1)
    frames = [molecule(ELEMENTS, num_atoms=21, seed=seed) for seed in range(options.molecules)]
    points = []
    for l, order in POINTS:
        for way in WAYS:
            found = in_a_process_of_its_own(way, l, order, frames, options.seconds)
            points.append({"way": way, "l": l, "order": order, **found})
            print(
                f"L={l} order={order} {way:10s} {found['milliseconds']:9.1f} ms {found['megabytes']:8.1f} MB",
                flush=True,
            )
    edges = len(batch_of(frames, ELEMENTS, CUTOFF).senders)
    size = {"molecules": len(frames), "atoms": 21 * len(frames), "edges": edges, "channels": CHANNELS}
    options.out.write_text(
        json.dumps({**stamp(), "precision": "float32", **size, "points": points}, indent=1) + "\n"
    )
    draw(points, options.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
