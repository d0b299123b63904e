"""Every engine against the reference, for every architecture: the proofs of `equipot verify --engine all`.

    python benchmarks/engines/verify.py

Small models with random weights in float64, on a molecule and on a triclinic crystal: energy, forces, stress and three
NVE steps. Writes benchmarks/results/engines_verify.json; 1 when a proof fails. Engines that are not
installed are named.
"""

import json
import sys
from pathlib import Path
from typing import Any

sys.path[:0] = [
    str(Path(__file__).resolve().parents[1]),
    str(Path(__file__).resolve().parents[1] / "accuracy"),
]

from machine import stamp
from settings import SMALL

from equipot import testing
from equipot.config import parse
from equipot.engines.agreement import agreement, chosen, missing
from equipot.engines.catalog import ENGINES
from equipot.potential import PotentialConfig

RESULT = Path(__file__).resolve().parents[1] / "results" / "engines_verify.json"
ELEMENTS = (1, 6, 8)


def proofs(name: str) -> list[dict[str, Any]]:
    """Of all engines, with the settings of the accuracy benchmarks."""
    config = parse(PotentialConfig, {"model": {"name": name, **SMALL[name]}}, "benchmark")
    potential = testing.random_potential(config, ELEMENTS).double()
    structures = [testing.molecule(ELEMENTS, 9, seed=1), testing.crystal(ELEMENTS)]
    found = agreement(potential, structures, chosen("all"), say=print)
    return [proof.model_dump() for proof in found]


def main() -> int:
    made = stamp()
    models = {name: proofs(name) for name in SMALL}
    failed = [f"{n}: {p['name']}" for n, rows in models.items() for p in rows if not p["passed"]]
    for name, rows in models.items():
        worst = max(rows, key=lambda p: p["value"] / p["limit"])
        print(
            f"{name:10} {len(rows)} proofs, worst {worst['name']} {worst['value']:.1e} of {worst['limit']:.0e}"
        )
    engines = {name: engine.installed for name, engine in ENGINES.items()}
    result = {
        "what": "engines against the reference, small random models, a molecule and a triclinic crystal",
        "engines": engines,
        "not_proved": list(missing()),
        "failed": failed,
        "models": models,
        **made,
    }
    RESULT.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(RESULT)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
