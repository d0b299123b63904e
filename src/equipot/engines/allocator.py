"""Memory that a run of dynamics keeps between its steps, instead of asking the system for it again."""

import ctypes
import sys

# parameters of mallopt(3), of glibc
TRIM_THRESHOLD, TOP_PAD, MMAP_MAX = -1, -2, -4
NEVER, NONE, PADDING = -1, 0, 1 << 28


def keep_memory() -> bool:
    """Ask glibc to keep what is freed; false where the C library knows no such wish.

    It returns every block of more than 32 MB at once, and a page that comes back costs a fault: of 12,288 atoms, a
    fifth of the time of TensorNet. For processes that are ours: a library does not decide this for its users.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return False
    wishes = ((MMAP_MAX, NONE), (TRIM_THRESHOLD, NEVER), (TOP_PAD, PADDING))
    return all(mallopt(name, value) == 1 for name, value in wishes)
