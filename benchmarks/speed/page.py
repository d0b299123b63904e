"""The page of speeds in the documentation, made from the committed result files.

python benchmarks/speed/page.py           # rewrites docs/speed.md
python benchmarks/speed/page.py --check   # says whether it is up to date
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "accuracy")]
import alone
import one_core
import pairs
import peers
import records
import scaling

PAGE = HERE.parent.parent / "docs" / "speed.md"
HEAD = """\
<!-- written by benchmarks/speed/page.py; do not edit -->

# Speed

Energy and forces as calculators compute them (float32, tables for radial networks, compiled products), neighbor lists
made before, on one machine without a GPU. Every number has its entry in `benchmarks/results/`, with command, machine
and commit; what a size costs on yours says `equipot info MODEL --atoms N`.
"""
BESIDE = """\
## Beside the packages they come from

`python benchmarks/speed/peers.py`: milliseconds of the package / of equipot = **ratio**, two workers taking turns in
one run, the same threads, the same allocator settings. The mode of the package is behind its name, eager without one.
The hyper-parameters are the same as far as a package can express them; numbers of parameters are in the result file.
PaiNN has the same weights, and the same energies. Our training step leaves out the gradient by positions, as our
training does; the others' are theirs.
"""
OWED = {"painn": 8, "schnet": 8, "nequip": 4, "allegro": 4, "mace": 15, "tensornet": 4}  # times
TRAINING_OWED = 3
MISSED = """\
### What misses its goal

Owed are {owed} times the speed of the package, and {train} times for a training step. Below that are {missed}.

One molecule is replayed ([decision 42](decisions/0042-small-systems-are-a-list-of-steps.md)), and large products of
matrices are oneDNN's ([decision 44](decisions/0044-products-by-onednn.md)). In training, radial layers are computed and
read once for two mirrored edges ([decision 46](decisions/0046-edges-read-their-pairs.md)); what is left of a step is
products that both sides compute alike, and small operations between them. A program that makes the weights of edges
where it uses them was tried, and multiplies more than that is worth
([decision 45](decisions/0045-weights-are-made-before.md)).
"""
SECOND = """\
### Other machines

Ratios depend on the machine. The same command on one with AVX2 alone and second-level caches of 512 kB (EPYC), at three
commits of 29 November. What many molecules wait for there is mostly the edge operation: it reads four rows of a table
for every edge and adds to the sums of its sender, and both are larger than that cache; going through channels in
blocks, so that both fit, gained nothing.
"""
THIRD = """\
And on one with AVX-512 whose memory is fast beside its cores (EPYC), on the same day, before mirrored edges read the
same weights.
"""
SHARED = """\
### Mirrored edges

`python benchmarks/speed/pairs.py`: a training step, milliseconds of the processor, where radial layers are computed for
every edge, for one of two mirrored edges and copied to both, and where both edges read the row of their pair, which is
how training is done ([decision 46](decisions/0046-edges-read-their-pairs.md)).
"""
ALONE = """\
## Beside nobody

SEGNN was published as scripts for its experiments, not as a package, so there is nothing to take turns with. Our own
times, `python benchmarks/speed/alone.py`: milliseconds, and in parentheses the memory in MB that the structure and
three calls add; seven layers of 128 channels, l_max 2, cases as above.
"""
ONE_CORE = """\
## One core

`python benchmarks/speed/one_core.py`: water with 40 neighbors, one thread, time of the processor, beside the goals that
follow from arithmetic on operations and bytes.

PaiNN: 128 channels, 3 layers, 20 radial functions. MACE: 128x0e + 128x1o, 2 layers, l_max 3, correlation 3. NequIP:
l_max 2, 64 channels, 4 layers. Allegro: l_max 2, 64 channels, 2 layers.
"""
GROWTH = """\
## Growth

`python benchmarks/speed/scaling.py`: water, 10 to 90 neighbors, hyper-parameters as in the table above. Off a line: the
largest relative distance of a time from a straight line in the number of neighbors. Elements: slowest over fastest.
Dynamics keeps the memory that it has used, and a strictly local model is evaluated in blocks of atoms: Allegro, which
keeps 11 kB for every pair, costs the same an atom at any size ([why](decisions/0040-strictly-local-in-blocks.md)). All
at once would be as fast where it fits the memory and the process keeps it. Memory given back: how much longer 12,288
atoms take where the process keeps nothing, as glibc has it. The machine is shared: single points are up to a fifth off.
"""


def missed(record: records.Record) -> list[str]:
    """Pairs and cases in which a package is less than so many times as slow."""
    found = []
    for entry in record["runs"].values():
        owed = TRAINING_OWED if entry["case"] == "train" else OWED[entry["pair"].split("-")[0]]
        if "failed" not in entry and entry["ratio"] < owed:
            found.append(f"{entry['pair']} on {entry['case']} ({entry['ratio']:.1f})")
    return found


def page() -> str:
    """The whole page, of the result files that are there."""
    parts = [HEAD]
    for text, module in ((BESIDE, peers), (ALONE, alone), (ONE_CORE, one_core), (GROWTH, scaling)):
        record = records.load(module.RESULT)
        if record["runs"]:
            parts.append("\n".join([text, *module.table(record), ""]))
        if module is peers and (below := missed(record)):
            owed = ", ".join(f"{n} ({name})" for name, n in OWED.items())
            parts.append(MISSED.format(owed=owed, train=TRAINING_OWED, missed=", ".join(below)))
        shared = records.load(pairs.RESULT)
        if module is peers and shared["runs"]:
            parts.append("\n".join([SHARED, *pairs.table(shared), ""]))
        for said, name in ((SECOND, "second"), (THIRD, "third")) if module is peers else ():
            other = records.load(peers.RESULT.with_stem(f"speed_peers_{name}_machine"))
            if other["runs"]:
                parts.append("\n".join([said, *peers.ratios(other), ""]))
    return "\n".join(parts)


def main() -> int:
    made = page()
    if "--check" in sys.argv:
        return int(not PAGE.exists() or PAGE.read_text(encoding="utf-8") != made)
    PAGE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
