"""The side of MACE in ring_polymer_peer.py, for its environment: i-PI with the batched driver that comes with it.

python mace_ring.py INPUT.xml MODEL STEPS: makes the model if it is not there, prints milliseconds of a step as JSON.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SIDES = Path(__file__).resolve().parent.parent / "speed" / "sides"
WARM = 3  # steps that do not count


def timed(step: Callable[[], Any], steps: int) -> dict[str, float]:
    """CPU and wall milliseconds of a step, after a few."""
    for _ in range(WARM):
        step()
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(steps):
        step()
    spent = (time.process_time() - cpu, time.perf_counter() - wall)
    return {"cpu": 1e3 * spent[0] / steps, "wall": 1e3 * spent[1] / steps}


def main(given: Path, model: Path, steps: int) -> None:
    import torch

    sys.path.insert(0, str(SIDES))
    torch.set_default_dtype(torch.float32)
    from side_mace import Mace

    if not model.exists():
        torch.save(Mace("mace", "eager", "train").raw, model)
    from ipi.engine.simulation import Simulation

    simulation = Simulation.load_from_xml(given.read_text())

    def step() -> None:
        simulation.run_step(simulation.step)
        simulation.step += 1

    print(json.dumps(timed(step, steps)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
