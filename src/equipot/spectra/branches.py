"""One branch of the dipole of a periodic cell, from values that each lie on any.

The dipole of a cell is defined modulo e times its lattice vectors. Differences between frames are reduced to the
nearest image in the basis of the lattice; that is right as long as frames are so close that no difference comes near
half a lattice vector.
"""

import numpy as np
from jaxtyping import Float

_FARTHEST = 0.25  # of a lattice vector: half-way to where the nearest image is no longer known


def joined(
    dipole: Float[np.ndarray, "steps 3"], cell: Float[np.ndarray, "3 3"], where: str = "the trajectory"
) -> Float[np.ndarray, "steps 3"]:
    """The series on the branch of its first value, e·Å; `cell` has its vectors as rows, Å.

    Raises ValueError where two frames differ by more than a quarter of a lattice vector.
    """
    steps = np.diff(dipole, axis=0) @ np.linalg.inv(cell)
    steps -= np.round(steps)
    far = np.abs(steps).max(axis=1, initial=0.0)
    if far.size and far.max() > _FARTHEST:
        frame = int(np.argmax(far > _FARTHEST))
        raise ValueError(
            f"{where}, frames {frame} and {frame + 1}: the dipole of the cell changes by {far[frame]:.2f} of a lattice"
            f" vector, expected below {_FARTHEST:g}: between such frames its branch is not known. Write frames more"
            " often, or record born_charges instead, whose rate of the dipole has no branch."
        )
    return np.vstack([dipole[:1], dipole[:1] + np.cumsum(steps @ cell, axis=0)])
