"""A step of 64 beads of aspirin through i-PI: MACE with i-PI's own batched driver, beside the same MACE of equipot.

    python benchmarks/engines/ring_polymer_peer.py --peers FOLDER [--rounds 3]

FOLDER holds mace/, the environment that speed/peers.py makes; i-PI is added to it. Both sides run i-PI in their own
process, with inputs that differ in the force field alone, 64 beads in one call of the model, and one bead; the sides
take turns, numbers are the fastest round. T-RPMD, float32, one thread, hyper-parameters of speed/peers.py, random
weights. The driver of MACE always computes the stress; a molecule of equipot has none. MACE's is the only
driver of i-PI 3.3.1 for a package that we compare with which takes a batch; that of metatomic is for metatrain.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ase.io
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "speed"), str(HERE.parent / "speed" / "sides")]
sys.path.append(str(HERE.parent / "accuracy"))
from machine import stamp
from peers import environment

RESULT = HERE.parent / "results" / "ring_polymer_peer.json"
ASPIRIN = HERE.parent / "speed" / "structures" / "aspirin.extxyz"
BEADS, DT = 64, 0.25  # fs
STEPS = {1: 40, BEADS: 4}  # of a round
DRIVER = """<ffdirect name='equipot' pbc='False'>
    <pes> mace </pes>
    <parameters> {{{{ template: {template}, model: {model}, device: cpu, mace_kwargs: {options} }}}} </parameters>
    <batch_size> {{beads}} </batch_size>
  </ffdirect>"""


def text(beads: int, forcefield: str) -> str:
    """The input of i-PI."""
    from equipot.engines.ipi import inputs
    from equipot.engines.settings import Dynamics

    atoms = ase.io.read(ASPIRIN)
    assert not isinstance(atoms, list)
    atoms.pbc = False
    settings = Dynamics(engine="ipi", beads=beads, dt=DT, method="trpmd")
    initial = inputs.all_at(atoms, beads)
    return inputs.simulation(settings.phases()[-1], settings, initial=initial, forcefield=forcefield, seed=1)


def ours(beads: int) -> None:
    """Milliseconds of a step with the model of equipot, printed as JSON."""
    from mace_ring import timed
    from side_equipot import Equipot

    from equipot.engines.ipi import inputs
    from equipot.engines.ipi.beads import Beads
    from equipot.engines.ipi.ring import Ring

    atoms = ase.io.read(ASPIRIN)
    assert not isinstance(atoms, list)
    atoms.pbc = False
    ring = Ring(Beads(Equipot("mace", "eager", "train").potential, atoms, beads), text(beads, inputs.LIVE))
    print(json.dumps(timed(ring.step, STEPS[beads])))


def answer(command: list[str], **more: str) -> dict[str, float]:
    """What a side prints last, alone on one thread."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    set_here = {**os.environ, **threads, **more}
    done = subprocess.run(command, env=set_here, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(peers: Path, rounds: int) -> dict[str, Any]:
    """Fastest round of both sides, one bead and many, CPU and wall milliseconds."""
    python = environment(peers, "mace")
    ipi = f"ipi=={version('ipi')}"
    subprocess.run([str(python), "-m", "pip", "install", "-q", ipi], check=True)
    rows: dict[str, dict[int, list[tuple[float, float]]]] = {"mace": {}, "equipot": {}}
    with tempfile.TemporaryDirectory() as folder:
        names = {n: Path(folder) / f for n, f in (("model", "mace.model"), ("options", "options.json"))}
        names["options"].write_text(json.dumps({"default_dtype": "float32"}))
        for _ in range(rounds):
            for beads in STEPS:
                given = Path(folder) / f"{beads}.xml"
                given.write_text(text(beads, DRIVER.format(template=ASPIRIN, **names)))
                side = [str(python), str(HERE / "mace_ring.py"), str(given), str(names["model"])]
                found = {
                    # mace's e3nn 0.4 reads a pickle of its own when imported; nobody else is allowed to
                    "mace": answer([*side, str(STEPS[beads])], TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD="1"),
                    "equipot": answer([sys.executable, __file__, "--side", str(beads)]),
                }
                for name, one in found.items():
                    print(name, beads, one, flush=True)
                    rows[name].setdefault(beads, []).append((one["cpu"], one["wall"]))
    best = {n: {b: np.min(r, axis=0).round(2).tolist() for b, r in by.items()} for n, by in rows.items()}
    return {
        "ms_per_step_cpu_wall": best,
        "peer_over_equipot": {b: round(best["mace"][b][0] / best["equipot"][b][0], 1) for b in STEPS},
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", type=Path, default=Path("peers"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", type=int, help="so many beads of ours, in this process")
    given = parser.parse_args()
    if given.side:
        ours(given.side)
        return
    made = stamp()
    document = {
        "what": f"T-RPMD of aspirin, {BEADS} beads and one, {DT} fs: MACE by i-PI's batched driver, and equipot's",
        **measure(given.peers.resolve(), given.rounds),
        **made,
    }
    RESULT.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
