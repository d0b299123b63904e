"""Labelled frames as extended XYZ, written so that a killed run loses nothing but the frame it was at."""

import io
import lzma
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read
from dft import Labels


def write_frame(atoms: Atoms, labels: Labels, index: int) -> str:
    """One frame, with more digits than the SCF tolerance leaves certain (forces: at most 2e-4 eV/Å)."""
    head = (
        f"Properties=species:S:1:pos:R:3:forces:R:3 config_type={atoms.info['config_type']} index={index} "
        f'energy={labels.energy:.8f} dipole="{numbers(labels.dipole, 8)}" '
        f'polarizability="{numbers(labels.polarizability, 7)}" pbc="F F F"'
    )
    rows = [
        f"{symbol} {numbers(position, 8)} {numbers(force, 8)}"
        for symbol, position, force in zip(
            atoms.get_chemical_symbols(), atoms.positions, labels.forces, strict=True
        )
    ]
    return "\n".join([str(len(atoms)), head, *rows]) + "\n"


def numbers(values: np.ndarray, digits: int) -> str:
    return " ".join(f"{value:.{digits}f}" for value in np.ravel(values))


def write_free_atom(symbol: str, energy: float) -> str:
    """An atom alone: no force and no dipole by symmetry, no polarizability label."""
    return (
        "1\nProperties=species:S:1:pos:R:3:forces:R:3 config_type=IsolatedAtom "
        f'energy={energy:.8f} dipole="0 0 0" pbc="F F F"\n{symbol} 0 0 0 0 0 0\n'
    )


def read_frames(path: Path) -> list[Atoms]:
    """All frames of an extended XYZ file, compressed (.xz) or not."""
    data = path.read_bytes()
    text = (lzma.decompress(data) if path.suffix == ".xz" else data).decode()
    return read(io.StringIO(text), ":", format="extxyz") if text else []


def labels_of(atoms: Atoms) -> Labels:
    return Labels(
        energy=atoms.get_potential_energy(),
        forces=atoms.get_forces(),
        dipole=atoms.get_dipole_moment(),
        polarizability=atoms.info["polarizability"].reshape(3, 3),
    )


def drop_unfinished(path: Path) -> int:
    """Number of complete frames in `path`, which is cut after the last of them."""
    if not path.exists():
        return 0
    lines = path.read_text().splitlines(keepends=True)
    count = position = 0
    while position < len(lines):
        end = position + int(lines[position]) + 2
        if end > len(lines) or not lines[end - 1].endswith("\n"):
            break
        count, position = count + 1, end
    path.write_text("".join(lines[:position]))
    return count
