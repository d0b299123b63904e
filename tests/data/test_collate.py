"""Batches equal their parts, in whatever order."""

import numpy as np
import pytest
import torch
from ase.build import bulk, molecule

from equipot.data.collate import batch_of, collate, collate_labels, graph
from equipot.data.frame import Frame


@pytest.fixture
def frames(rng):
    water = Frame.from_atoms(molecule("H2O")).with_labels(
        energy=np.array(-3.0), forces=rng.normal(size=(3, 3)), dipole=rng.normal(size=3)
    )
    ethanol = Frame.from_atoms(molecule("CH3CH2OH")).with_labels(
        polarizability=np.eye(3), charges=rng.normal(size=9)
    )
    return [water, Frame.from_atoms(bulk("Si")), ethanol, Frame.from_atoms(molecule("H"))]


ELEMENTS = (1, 6, 8, 14)


def test_a_batch_is_the_concatenation_of_its_systems(frames):
    batch = batch_of(frames, ELEMENTS, 5.0)
    vectors = batch.vectors()
    for k, frame in enumerate(frames):
        alone = batch_of([frame], ELEMENTS, 5.0)
        atoms = batch.system == k
        edges = atoms[batch.receivers]
        torch.testing.assert_close(vectors[edges], alone.vectors(), rtol=0, atol=0)
        assert (batch.species[atoms] == alone.species).all()
        assert batch.positions.dtype == torch.float64


def test_reverse_edges_and_rows_hold_across_systems(frames):
    batch = batch_of(frames, ELEMENTS, 5.0)
    vectors, edges = batch.vectors(), torch.arange(len(batch.senders))
    torch.testing.assert_close(vectors[batch.reverse], -vectors)
    assert (batch.reverse[batch.reverse] == edges).all()
    assert (batch.senders[batch.reverse] == batch.receivers).all()
    for i in range(batch.num_atoms):
        rows = slice(batch.row_pointer[i], batch.row_pointer[i + 1])
        assert (batch.receivers[rows] == i).all()
    assert batch.row_pointer[-1] == len(edges)


def test_missing_labels_are_nan_and_never_zero(frames):
    graphs = [graph(f, 5.0) for f in frames]
    labels = collate_labels(graphs, ["energy", "forces", "polarizability", "charges", "dipole", "stress"])
    assert labels.energy.isnan().tolist() == [False, True, True, True]
    assert labels.forces.isnan().any(1).tolist() == [False] * 3 + [True] * 12
    assert labels.charges.isnan().tolist() == [True] * 5 + [False] * 9 + [True]
    assert labels.polarizability.isnan().any((1, 2)).tolist() == [True, True, False, True]
    assert labels.stress.isnan().all() and labels.stress.shape == (4, 3, 3)
    np.testing.assert_array_equal(labels.dipole[0], frames[0].labels["dipole"])


def test_declared_tensors_have_one_row_per_atom_or_per_system(rng):
    atoms = molecule("H2O")
    frames = [Frame.from_atoms(atoms), Frame.from_atoms(atoms)]
    frames[0] = frames[0].with_labels(born=rng.normal(size=(3, 9)), moment=rng.normal(size=(1, 6)))
    graphs = [graph(f, 5.0) for f in frames]
    labels = collate_labels(graphs, ["born", "moment", "nowhere"])
    assert labels.tensors["born"].shape == (6, 9) and labels.tensors["moment"].shape == (2, 6)
    assert labels.tensors["born"].isnan().any(1).tolist() == [False] * 3 + [True] * 3
    assert labels.get("nowhere") is None


def test_the_total_charge_is_there_when_every_frame_gives_it():
    ion, atoms = molecule("H2O"), molecule("H2O")
    ion.info["charge"] = 1
    both = [Frame.from_atoms(ion), Frame.from_atoms(atoms)]
    assert batch_of(both, ELEMENTS, 5.0).charge is None
    assert batch_of(both[:1], ELEMENTS, 5.0).charge.tolist() == [1.0]


def test_an_unknown_element_is_named_with_its_frame_and_what_the_model_knows(frames):
    frame = Frame.from_atoms(bulk("Si"), source="bulk.xyz", index=12)
    with pytest.raises(ValueError) as error:
        batch_of([frames[0], frame], (1, 6, 8), 5.0)
    assert str(error.value) == (
        "bulk.xyz, frame 12: no parameters for Si (14), atom 0, 1.\n"
        "This model knows H, C, O. Train with Si, or drop the frame."
    )


def test_overlapping_atoms_name_their_frame():
    atoms = molecule("H2O")
    atoms.positions[2] = atoms.positions[1]
    with pytest.raises(ValueError, match=r"bad\.xyz, frame 3: atoms 1 and 2 are on top of each other"):
        graph(Frame.from_atoms(atoms, source="bad.xyz", index=3), 5.0)


def test_an_empty_batch_is_refused():
    with pytest.raises(ValueError, match="at least one structure"):
        collate([], ELEMENTS)
