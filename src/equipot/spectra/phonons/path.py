"""The way through the Brillouin zone along which bands are drawn."""

from itertools import pairwise

import numpy as np
from ase import Atoms
from ase.dft.kpoints import parse_path_string
from jaxtyping import Float

from equipot.config import nearest

Piece = tuple[tuple[str, str], Float[np.ndarray, "_ 3"]]


def band_path(primitive: Atoms, path: str = "auto", density: float = 150.0) -> list[Piece]:
    """Straight pieces between special points, in reciprocal vectors of the given cell.

    The points are those of Setyawan and Curtarolo, Comput. Mater. Sci. 49, 299 (2010), as ASE finds them for the
    Bravais lattice, which must be that of a primitive cell.

    Args:
        primitive: the cell.
        path: "auto", or names of special points such as GXWK,LG, where a comma is a jump.
        density: points per 1/Å (without 2π), at least 10 a piece.
    """
    try:
        special = primitive.cell.bandpath(npoints=0)
    except Exception as error:  # ASE's search of the lattice gives up in several ways
        raise ValueError(
            f"no Bravais lattice found for the cell {primitive.cell.cellpar()}: {error}."
        ) from None
    words = special.path if path == "auto" else path
    chains = parse_path_string(words)
    for name in {name for chain in chains for name in chain}:
        if name not in special.special_points:
            known = tuple(special.special_points)
            raise ValueError(
                f"path {path}: no special point {name}.{nearest(name, known)} This lattice has {', '.join(known)}."
            )
    reciprocal = primitive.cell.reciprocal()
    pieces: list[Piece] = []
    for chain in chains:
        for ends in pairwise(chain):
            first, last = (special.special_points[name] for name in ends)
            length = float(np.linalg.norm((last - first) @ reciprocal))
            count = max(10, round(density * length))
            pieces.append((ends, np.linspace(first, last, count + 1)))
    if not pieces:
        raise ValueError(f"path {path}: expected two special points or more, such as GX.")
    return pieces
