"""What is written is read again, labels included."""

import numpy as np
from ase.build import bulk, molecule

from equipot.data.frame import Frame
from equipot.data.read import read
from equipot.data.structure_checks import without_overlaps
from equipot.data.write import write


def test_frames_and_labels_come_back(tmp_path, rng):
    symmetric = rng.normal(size=(3, 3))
    symmetric = symmetric + symmetric.T
    ethanol = molecule("CH3CH2OH")
    ethanol.info["charge"] = -1
    frames = [
        Frame.from_atoms(ethanol).with_labels(
            energy=np.array(-1.25),
            forces=rng.normal(size=(9, 3)),
            dipole=rng.normal(size=3),
            polarizability=symmetric,
            charges=rng.normal(size=9),
            moment=rng.normal(size=(1, 6)),
            born=rng.normal(size=(9, 9)),
        ),
        Frame.from_atoms(bulk("Si")).with_labels(energy=np.array(-9.0), stress=symmetric),
    ]
    write(tmp_path / "a.xyz", frames)
    back = read(tmp_path / "a.xyz", tensors={"moment": (6,), "born": (9,)})
    for frame, again in zip(frames, back, strict=True):
        assert set(again.labels) == set(frame.labels) and again.charge == frame.charge
        np.testing.assert_allclose(again.positions, frame.positions, atol=1e-8)
        np.testing.assert_allclose(again.cell, frame.cell, atol=1e-8)
        for name, value in frame.labels.items():
            np.testing.assert_allclose(again.labels[name], value, atol=1e-7)


def test_frames_with_overlapping_atoms_are_told_from_the_others():
    good, bad = molecule("H2O"), molecule("H2O")
    bad.positions[1] = bad.positions[0] + [0.05, 0, 0]
    frames = [Frame.from_atoms(a) for a in (good, bad, good)]
    kept, excluded = without_overlaps(frames)
    assert kept == [frames[0], frames[2]] and excluded == [frames[1]]
