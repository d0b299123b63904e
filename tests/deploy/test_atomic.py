"""A file is whole or absent, and the one before it survives."""

import errno
import os

import pytest

from equipot.deploy import load, save
from equipot.deploy.atomic import write_atomically


def raise_disk_full(descriptor):
    raise OSError(errno.ENOSPC, "No space left on device")


def raise_interrupt(*args):
    raise KeyboardInterrupt


def test_a_full_disk_leaves_the_old_model(build, tmp_path, monkeypatch):
    path = tmp_path / "a.equipot"
    save(path, build(seed=0))
    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", raise_disk_full)
    with pytest.raises(OSError, match="No space left") as error:
        save(path, build(seed=1))
    assert "unchanged" in error.value.__notes__[0]
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.equipot"]


def test_an_interrupt_before_the_rename_leaves_the_old_model(build, tmp_path, monkeypatch):
    path = tmp_path / "a.equipot"
    save(path, build(seed=0))
    before = path.read_bytes()
    monkeypatch.setattr(os, "replace", raise_interrupt)
    with pytest.raises(KeyboardInterrupt):
        save(path, build(seed=1))
    assert path.read_bytes() == before
    load(path)


def test_a_file_that_fails_its_check_does_not_replace_the_old_one(tmp_path):
    def check(path):
        raise ValueError("no")

    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(ValueError, match="no"):
        write_atomically(tmp_path / "a", b"new", check=check)
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
