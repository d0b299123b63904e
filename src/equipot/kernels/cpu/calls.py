"""Calls of compiled programs, for who records them: PyTorch does not know of them."""

import ctypes
import threading
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

#: of a library, the name of its function, sizes, numbers and addresses, and the tensors that were filled
Listener = Callable[[ctypes.CDLL, str, Sequence[int | float | None], Sequence[Tensor]], None]


class _Listeners(threading.local):
    """None or one; what other threads call is no part of a recording."""

    def __init__(self) -> None:
        self.found: list[Listener] = []


_listeners = _Listeners()

AWAKE = (
    4  # a replay has nothing between its steps in which other threads would fall asleep: less is worth them
)


def threads_for(size: int, serial: int) -> int:
    """Of a program: one below a size for which waking others is slower, and for a fourth of it in a recording."""
    return 1 if size < (serial // AWAKE if _listeners.found else serial) else torch.get_num_threads()


def called(
    library: ctypes.CDLL, name: str, words: Sequence[int | float | None], made: Sequence[Tensor]
) -> None:
    """Say what was called."""
    for listener in _listeners.found:
        listener(library, name, words, made)


class Listening:
    """While it is open, `listener` is told of every call; one at a time."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener

    def __enter__(self) -> None:
        assert not _listeners.found, "calls are recorded already"
        _listeners.found.append(self.listener)

    def __exit__(self, *_: object) -> None:
        _listeners.found.clear()
