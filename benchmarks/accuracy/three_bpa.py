"""3BPA, 3-(benzyloxy)pyridin-2-amine: trained on frames at 300 K, tested at 300, 600 and 1200 K.

    python benchmarks/accuracy/three_bpa.py DATA --models painn,nequip --train 450 --budget 20min
    python benchmarks/accuracy/three_bpa.py DATA --published FOLDER --size published --device cuda --epochs 2000

DATA holds train_300K, iso_atoms and mixedT_even (.xyz or .xyz.xz; eV, Å): the published training set, the isolated
atoms, and every second frame of the published set of mixed temperatures. 450 frames are trained on and 50 are for
validation, drawn by seed, as published. What stands in for the published test files: the thirds of mixedT_even, which
are at 300, 600 and 1200 K, the 300 K part without the frames that the training file has too, and without the frame next
to each border, since the file does not name temperatures. FOLDER holds the published test files themselves:
test_300K.xyz, test_600K.xyz, test_1200K.xyz, test_dih.xyz.
"""

import sys
from pathlib import Path

from molecule import MoleculeSet, Published, choose, existing, main, part, unseen

# Batatia et al., arXiv:2206.07697; Musaelian et al., Nat. Commun. 14, 579 (2023); 450 + 50 frames, RMSE
PUBLISHED: Published = {
    "Allegro L=3": {"300 K": (3.84, 12.98), "600 K": (12.07, 29.1), "1200 K": (42.57, 82.96)},
    "NequIP L=3": {"300 K": (3.3, 10.8), "600 K": (11.2, 26.4), "1200 K": (38.5, 76.2)},
    "BOTNet": {"300 K": (3.1, 11.0), "600 K": (11.5, 26.7), "1200 K": (39.1, 81.1), "dihedral": (16.3, 20.0)},
    "MACE L=0": {
        "300 K": (4.5, 14.6),
        "600 K": (13.7, 33.3),
        "1200 K": (37.1, 81.6),
        "dihedral": (12.3, 26.1),
    },
    "MACE L=1": {
        "300 K": (3.4, 10.3),
        "600 K": (9.9, 24.6),
        "1200 K": (31.7, 67.8),
        "dihedral": (11.5, 19.3),
    },
    "MACE L=2": {"300 K": (3.0, 8.8), "600 K": (9.7, 21.8), "1200 K": (29.8, 62.0), "dihedral": (7.8, 16.5)},
}
BLOCKS = {"300 K": slice(0, 83), "600 K": slice(84, 166), "1200 K": slice(167, 250)}
FILES = {"300 K": "test_300K", "600 K": "test_600K", "1200 K": "test_1200K", "dihedral": "test_dih"}


def three_bpa(data: Path, published: Path | None = None) -> MoleculeSet:
    """The set with the published test files, or with what stands in for them."""
    train = choose(data, "train_300K")
    if published is None:
        mixed = choose(data, "mixedT_even")
        tests = {name: unseen(part(mixed, block), train) for name, block in BLOCKS.items()}
    else:
        tests = {name: choose(published, stem) for name, stem in FILES.items()}
    return MoleculeSet(
        name="three_bpa",
        what="3BPA, wB97X/6-31G(d), trained at 300 K. Published: 450 + 50 frames, the published test files. Ours: "
        "these files, or every second frame of the published mixed-temperature set",
        train=existing(data, "train_300K"),
        isolated=existing(data, "iso_atoms"),
        tests=tests,
        tests_name="mixedT_even" if published is None else "published files",
        published=PUBLISHED,
        measure="rmse",
    )


if __name__ == "__main__":
    sys.exit(main("three_bpa", __doc__, three_bpa, train=450))
