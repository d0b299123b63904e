"""rMD17 aspirin: 950 training and 50 validation frames, every architecture.

    python benchmarks/accuracy/aspirin.py DATA --models painn,nequip --train 950 --budget 1h

DATA holds train and test_part (.xyz or .xyz.xz; eV, Å). The frames are drawn from train by seed. There are no isolated
atoms: reference energies are fitted. PaiNN is published on the labels of the original MD17 only.
"""

import sys
from pathlib import Path

from molecule import MoleculeSet, Published, choose, existing, main, unseen

# 950 + 50 frames, MAE; the papers of the models, PaiNN's from ICML 2021, Table 3
PUBLISHED: Published = {
    "PaiNN (MD17)": {"test": (6.9, 16.1)},
    "NequIP l=3": {"test": (2.3, 8.2)},
    "Allegro": {"test": (2.3, 7.3)},
    "MACE L=2": {"test": (2.2, 6.6)},
    "TensorNet, 2 layers": {"test": (2.4, 8.9)},
    "ICTP (sym)": {"test": (2.27, 6.67)},
    "NequIP, 50 frames": {"test": (19.5, 52.0)},
    "MACE, 50 frames": {"test": (17.0, 43.9)},
}


def aspirin(data: Path, published: Path | None = None) -> MoleculeSet:
    """The set; `published` may be a folder with another test_part."""
    train = choose(data, "train")
    return MoleculeSet(
        name="aspirin",
        what="rMD17 aspirin, PBE/def2-SVP. Published: 950 + 50 frames, 1000 test frames. Ours: 950 + 50 of train, all "
        "of test_part, which is none of the official splits",
        train=existing(data, "train"),
        tests={"test": unseen(choose(published or data, "test_part"), train)},
        published=PUBLISHED,
        measure="mae",
    )


if __name__ == "__main__":
    sys.exit(main("aspirin", __doc__, aspirin, train=950))
