"""Acetylacetone: trained on frames at 300 K, tested at 300 and 600 K.

    python benchmarks/accuracy/acac.py DATA --models painn,nequip --budget 20min
    python benchmarks/accuracy/acac.py DATA --published FOLDER --size published --device cuda --epochs 2000

DATA holds train_300K, train_600K, test_MD_300K and isolated_atoms (.xyz or .xyz.xz; eV, Å). 450 frames of train_300K
are trained on and 50 are for validation, drawn by seed, as published. The test at 300 K is the published file;
train_600K, which nothing is trained on, stands in for the published test at 600 K. FOLDER holds test_MD_300K.xyz and
test_MD_600K.xyz.
"""

import sys
from pathlib import Path

from molecule import MoleculeSet, Published, choose, existing, main, unseen

# Batatia et al., arXiv:2205.06643; 450 + 50 frames, RMSE
PUBLISHED: Published = {
    "BOTNet": {"300 K": (0.89, 6.3), "600 K": (6.2, 29.8)},
    "NequIP": {"300 K": (0.81, 5.90), "600 K": (6.04, 27.8)},
    "MACE": {"300 K": (0.9, 5.1), "600 K": (4.6, 22.4)},
}


def acac(data: Path, published: Path | None = None) -> MoleculeSet:
    """The set with the published test files, or with train_600K for the second of them."""
    train = choose(data, "train_300K")
    at_600 = choose(published, "test_MD_600K") if published else unseen(choose(data, "train_600K"), train)
    return MoleculeSet(
        name="acac",
        what="Acetylacetone, PBE-D3/def2-SVP, trained at 300 K. Published: 450 + 50 frames, the published test files. "
        "Ours: the published file at 300 K; at 600 K that, or the training file of 600 K, which was not trained on",
        train=existing(data, "train_300K"),
        isolated=existing(data, "isolated_atoms"),
        tests={"300 K": choose(published or data, "test_MD_300K"), "600 K": at_600},
        tests_name="train_600K" if published is None else "published files",
        published=PUBLISHED,
        measure="rmse",
    )


if __name__ == "__main__":
    sys.exit(main("acac", __doc__, acac, train=450))
