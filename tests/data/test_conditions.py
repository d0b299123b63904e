"""What the data doctor says of charges and multiplicities."""

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from data.samples import waters, write
from equipot.data.conditions import impossible, in_words
from equipot.data.doctor import inspect
from equipot.data.frame import Frame
from equipot.data.splits import repeated
from equipot.statistics import Statistics


def said(tmp_path, frames: Sequence[Atoms]) -> dict[str, str]:
    """Title -> message, of row 13."""
    found = inspect(write(tmp_path / "a.xyz", frames)).findings
    return {f.title: f.text() for f in found if f.row == 13}


def in_states(states: Sequence[tuple[int | None, int | None]]) -> list[Atoms]:
    frames = waters(len(states))
    for atoms, (charge, spin) in zip(frames, states, strict=True):
        given = {"charge": charge, "spin": spin}
        atoms.info |= {name: value for name, value in given.items() if value is not None}
    return frames


def test_several_states_are_a_warning_with_the_key_to_paste(tmp_path):
    found = said(tmp_path, in_states([(0, 1), (0, 1), (1, 2), (-1, 2)]))
    assert set(found) == {"3 values of the total charge", "2 values of the multiplicity"}
    assert "-1 in 1 frames, 0 in 2 frames, 1 in 1 frames" in found["3 values of the total charge"]
    assert "fix: model.conditions=[charge, spin]" in found["3 values of the total charge"]


def test_the_suggested_configuration_reads_what_every_frame_says(tmp_path):
    frames = in_states([(0, 1), (1, 2), (0, 3), (0, 1)])
    assert "conditions: [charge, spin]" in inspect(write(tmp_path / "a.xyz", frames)).suggested_config
    del frames[2].info["spin"]
    assert "conditions: [charge]}" in inspect(write(tmp_path / "b.xyz", frames)).suggested_config
    assert "conditions" not in inspect(write(tmp_path / "c.xyz", waters(3))).suggested_config


def test_one_state_is_nothing_to_speak_of(tmp_path):
    assert said(tmp_path, in_states([(0, 1)] * 3)) == {}
    assert said(tmp_path, waters(3)) == {}


def test_a_state_in_some_frames_only_is_said_with_the_first_without(tmp_path):
    found = said(tmp_path, in_states([(0, None), (0, None), (None, None), (None, None)]))
    assert set(found) == {"2 of 4 frames have no total charge"}
    assert "the first is frame 2" in found["2 of 4 frames have no total charge"]


def test_a_multiplicity_that_the_electrons_do_not_allow(tmp_path):
    found = said(tmp_path, in_states([(0, 1), (0, 2)]))
    assert (
        "H2O of total charge 0 has 10 electrons, which cannot have the multiplicity 2"
        in found["an impossible multiplicity"]
    )


def test_what_a_model_reads_in_words():
    known = Statistics(
        elements=(1,),
        mean_neighbors=1.0,
        reference_energies=(0.0,),
        conditions={"charge": (-1.0, 0.0), "spin": (1.0,)},
    )
    assert in_words(("charge", "spin"), known) == "total charge -1, 0; multiplicity 1"
    assert in_words((), known) == ""


def test_which_multiplicities_are_possible():
    def of(numbers, charge, spin):
        frame = Frame.from_atoms(Atoms(numbers, positions=np.zeros((len(numbers), 3))))
        return impossible(Frame(**{**vars(frame), "charge": charge, "spin": spin}))

    assert of([1], 0.0, 2.0) is None and of([8, 8], 0.0, 3.0) is None and of([8, 1, 1], 1.0, 2.0) is None
    assert "1 electrons" in of([1], 0.0, 1.0)
    assert "unpaired electrons" in of([8, 8], 0.0, 2.5) and "unpaired" in of([8, 8], None, 0.0)
    assert of([8, 8], None, 2.0) is None  # without a charge, nothing is known of the electrons
    assert of([8, 8], 0.5, 2.0) is None


def test_frames_at_one_geometry_in_two_states_are_not_identical():
    plain = Frame.from_atoms(waters(1)[0])
    ion, triplet, said = (
        Frame(**{**vars(plain), **more})
        for more in ({"charge": 1.0}, {"spin": 3.0}, {"charge": 0.0, "spin": 1.0})
    )
    assert repeated([plain, ion, triplet]) == []
    assert repeated([plain, said]) == [(plain, said)]  # what is not said is neutral and a singlet
