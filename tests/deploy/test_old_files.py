"""A file from any 0.x opens in every later one with the same numbers: files that those versions wrote."""

from pathlib import Path

import numpy as np
import pytest

from equipot.data.collate import batch_of
from equipot.data.references import in_words
from equipot.deploy import fingerprints, load

FILES = sorted((Path(__file__).parent / "files").glob("*.equipot"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_it_opens_and_its_stored_numbers_are_found_again(path):
    """Loading recomputes them as well, to 1e-10 of the model's own part; here every energy to the last digits."""
    potential, document = load(path)
    assert potential.statistics.energy_shift == 0.0 and not document.potential.terms.any
    assert in_words(potential.statistics) in ("least squares", "given")
    for index, stored in enumerate(document.fingerprints):
        frame = fingerprints._frame(stored, path.name, index)
        energy = potential(batch_of([frame], potential.elements, potential.cutoff)).energy
        np.testing.assert_allclose(energy.detach().numpy(), stored.expected["energy"], rtol=1e-14)


def test_there_is_a_file_of_every_earlier_architecture():
    assert [path.name for path in FILES] == [
        "painn-0.1.0.equipot",
        "painn-tensors-0.1.0.equipot",  # vectors read linearly, as only then
        "schnet-0.1.0.equipot",
    ]
