"""What a step costs on many processes, predicted from few numbers.

    python benchmarks/scaling/model.py            prints the comparison with the published curve, and predictions
    python benchmarks/scaling/model.py --bandwidth 25e9 --latency 5e-6

    t(N, P) = t_0 + a N/P + Σ_directions 2 (latency + bytes / bandwidth)

t_0: what a step costs however few atoms there are (launches, Python); a: of an atom, where there are many; the last
term sends positions of the halo of a process to it and forces back, along three directions in both senses. N/P atoms
fill a cube; its halo is as thick as cutoff and skin.

The published numbers are Table 4 of Musaelian et al., Nat. Commun. 14, 579 (2023): A100 GPUs, eight in a node, 2 fs.
The model takes t_0 from their 192 atoms and a from their 421,824 atoms, both on one GPU, and predicts the rest of the
curve. (Microseconds of an atom and a step, which the same table gives, are 0.70 of what its ns/day mean at 2 fs in the
rows of 421,824 atoms, and agree in the others. Times here are those of the ns/day; the ratios of either are the same.)
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

RESULT = Path(__file__).resolve().parents[1] / "results" / "scaling.json"
SECONDS_PER_DAY = 86400.0
#: (atoms, GPUs, ns/day) of Li3PO4 with 9,058 weights, steps of 2 fs
PUBLISHED = (
    (192, 1, 32.391), (421_824, 1, 0.518), (421_824, 2, 1.006), (421_824, 4, 1.994), (421_824, 8, 3.810),
    (421_824, 16, 6.974), (421_824, 32, 11.530), (421_824, 64, 15.515),
)  # fmt: skip
FEMTOSECONDS = 2.0
SIZES = (192, 421_824, 100_640_512)
PROCESSES = (1, 8, 64, 128, 1024)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A kind of process and what joins it to the next."""

    start: float  # t_0, s
    per_atom: float  # a, s
    bandwidth: float  # bytes/s, between two processes
    latency: float  # s


@dataclass(frozen=True, kw_only=True)
class Matter:
    """A material and how far its atoms see."""

    volume: float = 9.8  # Å³ of an atom
    reach: float = 4.5  # Å, cutoff and skin
    bytes: float = (
        48.0  # of a copy and a step: positions there, forces back; features too where messages pass
    )


def step(atoms: float, processes: int, machine: Machine, matter: Matter) -> float:
    """Seconds of a step."""
    own = atoms / processes
    exchange = 0.0 if processes == 1 else sum(
        2 * (2 * machine.latency + copies * matter.bytes / machine.bandwidth) for copies in halo(own, matter)
    )  # fmt: skip
    return machine.start + machine.per_atom * own + exchange


def halo(own: float, matter: Matter) -> tuple[float, float, float]:
    """Copies that come from one neighbor along x, then y and z, which pass on what came before."""
    side = (own * matter.volume) ** (1 / 3)
    wide = side + 2 * matter.reach
    return tuple(matter.reach * area / matter.volume for area in (side**2, side * wide, wide**2))  # type: ignore[return-value]


def fitted(points: Sequence[tuple[float, float]], bandwidth: float, latency: float) -> Machine:
    """From seconds of the smallest and of the largest number of atoms on one process."""
    (n0, t0), (n1, t1) = min(points), max(points)
    per_atom = (t1 - t0) / (n1 - n0)
    return Machine(
        start=max(t0 - per_atom * n0, 0.0), per_atom=per_atom, bandwidth=bandwidth, latency=latency
    )


def nanoseconds_per_day(seconds: float, femtoseconds: float = FEMTOSECONDS) -> float:
    """Of steps so long."""
    return SECONDS_PER_DAY / seconds * femtoseconds * 1e-6


def against_the_published(bandwidth: float, latency: float) -> list[dict[str, float]]:
    """Every row of the table beside the prediction from its two rows on one GPU."""
    single = [(n, FEMTOSECONDS * 1e-6 * SECONDS_PER_DAY / speed) for n, gpus, speed in PUBLISHED if gpus == 1]
    machine = fitted(single, bandwidth, latency)
    rows = []
    for n, gpus, speed in PUBLISHED:
        predicted = nanoseconds_per_day(step(n, gpus, machine, Matter()))
        rows.append({"atoms": n, "gpus": gpus, "published": speed, "predicted": predicted,
                     "ratio": predicted / speed})  # fmt: skip
    return rows


def predictions(machine: Machine, matter: Matter) -> list[dict[str, float]]:
    """Large systems on many processes like those measured."""
    rows = []
    for n, p in ((n, p) for n in SIZES for p in PROCESSES if n >= 100 * p):
        seconds = step(n, p, machine, matter)
        rows.append(
            {"atoms": n, "processes": p, "seconds": seconds, "ns_per_day": nanoseconds_per_day(seconds)}
        )
    return rows


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--bandwidth", type=float, default=25e9, help="bytes/s, assumed")
    options.add_argument("--latency", type=float, default=5e-6, help="s (assumed)")
    chosen = options.parse_args()
    print("published curve: atoms, GPUs, ns/day published, predicted, ratio")
    for row in against_the_published(chosen.bandwidth, chosen.latency):
        print("{atoms:>12,} {gpus:>5} {published:>9.3f} {predicted:>9.3f} {ratio:>6.2f}".format(**row))
    if not RESULT.exists():
        return
    measured = json.loads(RESULT.read_text(encoding="utf-8"))
    points = [(row["atoms"], row["seconds"]) for row in measured["kernel"]]
    machine = fitted(points, chosen.bandwidth, chosen.latency)
    print(
        f"\nequipot on {measured['machine']['gpu'] or measured['machine']['cpu']}, one thread a process:"
        f" t_0 {1e3 * machine.start:.2f} ms, a {1e6 * machine.per_atom:.2f} µs"
    )
    print("predicted: atoms, processes, s a step, ns/day at 2 fs")
    for row in predictions(machine, Matter()):
        print(f"{row['atoms']:>12,} {row['processes']:>6} {row['seconds']:>10.4f} {row['ns_per_day']:>10.4f}")


if __name__ == "__main__":
    main()
