"""Calls of compiled programs, for who records them: PyTorch does not know of them."""

import ctypes
from collections.abc import Callable, Sequence

from torch import Tensor

#: of a library, the name of its function, sizes, numbers and addresses, and the tensors that were filled
Listener = Callable[[ctypes.CDLL, str, Sequence[int | float | None], Sequence[Tensor]], None]
_listeners: list[Listener] = []  # none or one


def called(
    library: ctypes.CDLL, name: str, words: Sequence[int | float | None], made: Sequence[Tensor]
) -> None:
    """Say what was called."""
    for listener in _listeners:
        listener(library, name, words, made)


class Listening:
    """While it is open, `listener` is told of every call; one at a time."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener

    def __enter__(self) -> None:
        assert not _listeners, "calls are recorded already"
        _listeners.append(self.listener)

    def __exit__(self, *_: object) -> None:
        _listeners.clear()
