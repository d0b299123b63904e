"""Every file that is not exactly a saved model is refused, with the reason, before it can do harm."""

import gzip
import json
import pickle
import random
import sys
import zipfile

import pytest
import safetensors.torch
import torch

from equipot.deploy import describe, load, read_document, save, save_state
from equipot.deploy.document import to_json
from equipot.deploy.model_file import weights
from equipot.deploy.tensors import MAX_HEADER, pack


@pytest.fixture
def good(build, tmp_path):
    """A good model file."""
    save(tmp_path / "good.equipot", build())
    return tmp_path / "good.equipot"


@pytest.fixture
def forge(build, tmp_path):
    """A file with a valid checksum whose document or tensors were changed by someone who knows the format."""

    def write(edit_document=None, edit_tensors=None, text=None):
        potential = build()
        document = json.loads(to_json(describe(potential)))
        tensors = {n: t.detach().clone() for n, t in weights(potential).items()}
        for edit, values in ((edit_document, document), (edit_tensors, tensors)):
            if edit is not None:
                edit(values)
        path = tmp_path / "forged.equipot"
        path.write_bytes(pack("model", text or json.dumps(document), tensors))
        return path

    return write


def refused(path, *words):
    """The message, which names the file and holds the words."""
    with pytest.raises(ValueError) as error:
        load(path)
    message = str(error.value)
    assert str(path) in message
    for word in words:
        assert word in message, message
    assert len(message) < 5000
    return message


class Bomb:
    def __reduce__(self):
        return (open, ("exploded", "w"))


def test_a_pickle_is_refused_and_not_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        (tmp_path / "a.equipot").write_bytes(pickle.dumps({"weights": Bomb()}, protocol))
        refused(tmp_path / "a.equipot", "found a pickle", "does not open")
    (tmp_path / "a.equipot").write_bytes(pickle.dumps(Bomb(), 0))
    refused(tmp_path / "a.equipot", "found a text file")
    torch.save({"weights": torch.zeros(3)}, tmp_path / "a.pt")
    refused(tmp_path / "a.pt", "zip archive", "pickle")
    assert not (tmp_path / "exploded").exists()


def test_other_kinds_of_files_are_called_by_their_names(tmp_path):
    path = tmp_path / "a.equipot"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", "y")
    refused(path, "zip archive")
    for data, what in (
        (b"", "an empty file"),
        (b"3\n\nH 0.0 0.0 0.0\n" * 100, "a text file"),
        (("Å" * 400).encode(), "a text file"),
        (gzip.compress(b"x" * 100), "a gzip archive"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 file"),
        (bytes(100), "a header of 0 bytes"),
        (b"\xff" * 100, "a header of"),
    ):
        path.write_bytes(data)
        refused(path, what, "expected a file written by equipot")
    refused(tmp_path / "nothing.equipot", "no such file")
    refused(tmp_path, "is a folder")


def test_a_safetensors_file_of_someone_else_is_refused(tmp_path):
    safetensors.torch.save_file({"a": torch.zeros(2)}, tmp_path / "a.safetensors", {"format": "pt"})
    refused(tmp_path / "a.safetensors", "someone else", "expected a model file")
    safetensors.torch.save_file({"a": torch.zeros(2)}, tmp_path / "a.safetensors")
    refused(tmp_path / "a.safetensors", "someone else")


def test_a_checkpoint_is_no_model(tmp_path):
    save_state(tmp_path / "state.safetensors", {"a": torch.zeros(2)}, {})
    refused(tmp_path / "state.safetensors", "state of a training run", "expected a model file")


@pytest.mark.parametrize("keep", [3, 8, 9, 0.2, 0.6, 0.9, -1])
def test_a_truncated_file_is_refused(good, keep):
    data = good.read_bytes()
    end = int(keep * len(data)) if isinstance(keep, float) else keep
    good.write_bytes(data[:end])
    message = refused(good, "found")
    if end > 8 or end < 0:
        assert "cut off" in message
        with pytest.raises(ValueError, match="cut off"):
            read_document(good)


def test_what_was_appended_is_refused(good):
    good.write_bytes(good.read_bytes() + b"more")
    refused(good, "appended")


def test_one_flipped_bit_in_the_weights_is_found(good):
    data = bytearray(good.read_bytes())
    data[-1] ^= 4
    good.write_bytes(data)
    refused(good, "checksum", "damaged")


def test_one_flipped_digit_in_the_document_is_found(good):
    data = good.read_bytes().replace(b"-13.587222780835477", b"-13.587222780835478")
    good.write_bytes(data)
    refused(good, "checksum")


def test_a_newer_format_is_refused_with_both_versions(forge):
    path = forge(lambda d: d.update(format_version=7, uncertainty={"method": "llpr"}))
    refused(path, "format version 7", "at most 1", "Install a newer equipot")


@pytest.mark.parametrize("version", [None, "1", 0, -1, True, 1.0, [1]])
def test_a_strange_format_version_is_refused(forge, version):
    refused(forge(lambda d: d.update(format_version=version)), "format_version")


def test_unknown_things_are_refused(forge):
    refused(forge(lambda d: d.update(metric={})), "unknown key 'metric'", "Did you mean 'metrics'?")
    refused(forge(lambda d: d["potential"]["model"].update(name="equiformer")), "equiformer", "painn")
    refused(forge(lambda d: d["potential"]["model"].update(chanels=3)), "chanels", "channels")
    refused(forge(lambda d: d.update(convention="another")), "convention", "another")
    refused(forge(lambda d: d["units"].update(energy="Ha")), "units", "Ha")
    refused(forge(lambda d: d.pop("statistics")), "'statistics' is missing")
    refused(forge(lambda d: d.update(fingerprints=[])), "fingerprints")


@pytest.mark.parametrize(
    "text",
    ["[]", "null", "{", '{"format_version": NaN}', "[" * 100_000, '{"a": 1, "a": 2}', "9" * 10_000],
    ids=["list", "null", "open", "nan", "nested", "twice", "long number"],
)
def test_a_document_that_is_not_one_is_refused(forge, text):
    refused(forge(text=text))


def test_a_nested_document_is_refused_whatever_others_did_to_the_limit(forge):
    limit = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(1_000_000)
        refused(forge(text='{"format_version":' + "[" * 100_000), "nested deeper than 64 levels")
    finally:
        sys.setrecursionlimit(limit)


def test_statistics_that_contradict_themselves_are_refused(forge):
    refused(forge(lambda d: d["statistics"].update(elements=[8, 6, 1])), "ascending")
    refused(forge(lambda d: d["statistics"].update(elements=[1, 6, 1000])), "elements")
    refused(forge(lambda d: d["statistics"].update(elements=[])), "elements")
    refused(forge(lambda d: d["statistics"].update(reference_energies=[0.0])), "1 numbers for 3 elements")
    path = forge(text=to_json_with_infinity(forge))
    refused(path, "not finite")


def to_json_with_infinity(forge):
    written = {}
    forge(lambda d: written.update(d))
    return json.dumps(written).replace('"energy_scale": 1.2345678901234567', '"energy_scale": 1e999')


def test_names_shapes_and_dtypes_must_be_the_ones_of_the_document(forge):
    name = "model.embedding.table.weight"
    refused(forge(None, lambda t: t.pop(name)), "missing", name)
    refused(forge(None, lambda t: t.update(extra=torch.zeros(3))), "unknown: extra")
    refused(forge(None, lambda t: t.update({name: t[name].T.contiguous()})), name, "(4, 100)", "(100, 4)")
    refused(forge(None, lambda t: t.update({name: t[name].double()})), name, "float64", "float32")
    refused(forge(lambda d: d.update(precision="float64")), "float32", "float64")


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_not_finite_are_refused(forge, value):
    refused(forge(None, lambda t: t["model.embedding.table.weight"][99].fill_(value)), "not finite")


def test_other_weights_do_not_have_the_stored_fingerprints(forge):
    refused(
        forge(None, lambda t: t["model.embedding.table.weight"].mul_(1.01)), "deviates", "take a good copy"
    )
    path = forge(lambda d: d["statistics"].update(reference_energies=[-13.587222780, -1029.4889, -2041.8396]))
    refused(path, "energy", "deviates")
    load(path, check=False)


@pytest.mark.parametrize(
    "change",
    [
        {"channels": 10**9},
        {"num_layers": 10**9},
        {"num_radial": 10**12},
        {"channels": 10**30},
        {"num_radial": 10**30},
        {"num_layers": 10**30},
    ],
    ids=str,
)
@pytest.mark.parametrize("model", ["painn", "schnet"])
def test_hyper_parameters_beyond_the_file_are_refused_before_building(forge, model, change):
    refused(forge(lambda d: d["potential"]["model"].update(name=model, **change)), "no model can be built")


def test_a_cutoff_that_would_ask_for_all_images_is_refused(forge, build):
    def thin(document):
        document["potential"]["model"]["cutoff"] = 900.0
        document["fingerprints"][0].update(cell=[[1, 0, 0], [0, 1, 0], [0, 0, 1]], pbc=[True] * 3)

    refused(forge(thin), "too thin")
    for cutoff in (1e9, 1e-300):
        refused(forge(lambda d, c=cutoff: d["potential"]["model"].update(cutoff=c)), "cutoff")


def test_fingerprints_that_are_none_are_refused(forge):
    for change, words in (
        ({"positions": [[0, 0, 0]]}, "1 positions for 2 atoms"),
        ({"vectors": {"velocities": [[0, 0, 0]]}}, "1 vectors 'velocities'; expected one per atom"),
        ({"vectors": {"colors": [[0, 0, 0]] * 2}}, "2 vectors 'colors'"),
        ({"numbers": [1, 92]}, "elements"),
        ({"expected": {"energy": [0.0]}}, "expected ["),
        ({"pbc": [True] * 3}, "too thin"),
        ({"positions": [[0, 0, 0], [1e300, 0, 0]]}, "larger than 10000 Å"),
    ):
        refused(forge(lambda d, c=change: d["fingerprints"][0].update(c)), words)


def header_of(table):
    header = json.dumps(table).encode()
    return len(header).to_bytes(8, "little") + header


METADATA = {"kind": "model", "document": "{}", "sha256": ""}


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [10**9], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [10**9], "data_offsets": [0, 4 * 10**9]},
        {"dtype": "F32", "shape": [2**32, 2**32], "data_offsets": [0, 0]},
        {"dtype": "F32", "shape": [-4], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [4], "data_offsets": [16, 0]},
        {"dtype": "F32", "shape": [4], "data_offsets": [4, 20]},
        {"dtype": "F32", "shape": [4.0], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": "4", "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": None, "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [4], "data_offsets": [0, 8, 16]},
        {"dtype": "F33", "shape": [4], "data_offsets": [0, 16]},
        {"dtype": ["F32"], "shape": [4], "data_offsets": [0, 16]},
        {"shape": [4]},
        [],
        None,
        "tensor",
    ],
    ids=str,
)
def test_a_hostile_table_is_refused(tmp_path, entry):
    path = tmp_path / "a.equipot"
    path.write_bytes(header_of({"__metadata__": METADATA, "a": entry}) + bytes(16))
    refused(path)


def test_overlapping_tensors_are_refused(tmp_path):
    entry = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
    path = tmp_path / "a.equipot"
    path.write_bytes(header_of({"__metadata__": METADATA, "a": entry, "b": entry}) + bytes(16))
    refused(path, "overlap")


@pytest.mark.parametrize("length", [MAX_HEADER + 1, 2**40, 2**63, 2**64 - 1])
def test_a_huge_header_is_refused_unread(tmp_path, length):
    path = tmp_path / "a.equipot"
    path.write_bytes(length.to_bytes(8, "little") + b"\xfe" * 100)
    refused(path, f"a header of {length} bytes")


@pytest.mark.parametrize("header", [b"[" * 10**6, b"[]", b"{", b'{"a":1,"a":1}', b"\xff\xff", b"7"])
def test_a_header_that_is_no_table_is_refused(tmp_path, header):
    path = tmp_path / "a.equipot"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    refused(path, "header")


@pytest.mark.parametrize("model", ["painn", "schnet"])
def test_random_damage_is_refused_or_harmless(build, tmp_path, model):
    path = tmp_path / "a.equipot"
    save(path, build(model, "all"))
    data, (potential, document) = path.read_bytes(), load(path)
    saved, draw = weights(potential), random.Random(0)
    header = 8 + int.from_bytes(data[:8], "little")
    for trial in range(100):
        damaged = bytearray(data)
        place = draw.randrange(header) if trial % 2 else draw.randrange(len(data))
        damaged[place] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged if trial % 4 else damaged[:place])
        try:
            found, read = load(path)
        except ValueError as error:
            assert str(path) in str(error)
            continue
        assert read == document
        for name, tensor in weights(found).items():
            assert torch.equal(tensor, saved[name])


def test_forged_documents_never_raise_anything_else(build, tmp_path):
    """Damage with a valid checksum: single characters of the document, as an attacker could write them."""
    potential, path, draw = build("painn", "all"), tmp_path / "a.equipot", random.Random(1)
    text, tensors = to_json(describe(potential)), weights(potential)
    for _ in range(50):
        place = draw.randrange(len(text))
        forged = text[:place] + draw.choice('0123456789eE.-"[]{},:ax') + text[place + 1 :]
        path.write_bytes(pack("model", forged, tensors))
        try:
            load(path)
        except ValueError as error:
            assert str(path) in str(error)
