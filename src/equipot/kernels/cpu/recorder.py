"""What a function of tensors computes on a CPU, as a list that can be run again when numbers have changed.

While it is recorded, the function runs as ever. Every operation of PyTorch, forward and backward, and every call of a
compiled program becomes steps of the machine (`equipot.kernels.cpu.machine`) on the memory in which it has just run,
which is kept. What does not depend on the numbers that change is not computed again.
"""

import ctypes
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from equipot.kernels.cpu.calls import Listening
from equipot.kernels.cpu.lowering import LOWERINGS
from equipot.kernels.cpu.machine import Step, compiled_steps, replay
from equipot.kernels.cpu.steps import NotHere, Steps, call

aten = torch.ops.aten
EMPTY = (
    aten.empty.memory_format,
    aten.empty_like.default,
    aten.empty_strided.default,
    aten.new_empty.default,
    aten.new_empty_strided.default,
)

Piece = Step | Callable[[], None]


class UnrecordableError(RuntimeError):
    """Numbers were looked at that will be others."""


class Recorder(TorchDispatchMode):
    """Records what happens while it is active. `changing`: the tensors whose numbers will be others."""

    def __init__(self, changing: Iterable[Tensor]) -> None:
        super().__init__()
        self._kept: list[Any] = list(changing)
        self._changing = {_storage(t) for t in self._kept}
        self._made: dict[int, Tensor] = {}  # the first tensor on a memory that was made meanwhile
        self._before: dict[int, list[tuple]] = {}  # operations on memory that has not changed so far
        self._pieces: list[Piece] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation, and note it."""
        kwargs = kwargs or {}
        given = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        changes = any(_storage(t) in self._changing for t in given)
        found = func(*args, **kwargs)
        made = [t for t in tree_leaves(found) if isinstance(t, Tensor)]
        self._kept += [*given, *made]
        if changes and not made:
            raise UnrecordableError(f"{func} looks at numbers that change")
        written = _written(func, args, kwargs)
        known = {_storage(t) for t in given}
        if not written and all(_storage(t) in known for t in made):
            return found  # the same memory, looked at in another way
        for tensor in made:
            self._made.setdefault(_storage(tensor), tensor)
        operation = (func, args, kwargs, found)
        if changes:
            self._change([*written, *made])
            self._note(operation)
        else:
            for tensor in written or made:
                self._before.setdefault(_storage(tensor), []).append(operation)
        return found

    def called(
        self, library: ctypes.CDLL, name: str, words: Sequence[int | float | None], made: Sequence[Tensor]
    ) -> None:
        """Note the call of a compiled program."""
        self._change(made)
        address = ctypes.cast(getattr(library, f"{name}_recorded"), ctypes.c_void_p).value
        assert address is not None
        # a list of 64 bits each: whole numbers, addresses, or numbers
        values = [_bits(w) if isinstance(w, float) else (w or 0) for w in words]
        array = (ctypes.c_int64 * len(values))(*values)
        self._kept.append(array)
        self._pieces.append(call(address, ctypes.addressof(array)))

    def _change(self, tensors: Iterable[Tensor]) -> None:
        """Memory whose numbers change from here on begins with what has been done to it before."""
        for place in map(_storage, tensors):
            if place not in self._changing:
                self._changing.add(place)
                for operation in self._before.pop(place, ()):
                    self._note(operation)

    def _note(self, operation: tuple) -> None:
        func, args, kwargs, found = operation
        if func in EMPTY:
            return
        steps = Steps(lambda t: _storage(t) not in self._changing)
        try:
            if func not in LOWERINGS:
                raise NotHere(func)
            LOWERINGS[func](steps, found, *args, **kwargs)
            self._pieces += steps.steps
        except (NotHere, TypeError):  # or it has arguments that its steps do not know
            self._pieces.append(_again(*operation))
        self._kept += steps.kept

    def recording(self) -> "Recording":
        """What was noted."""
        made = [t for place, t in self._made.items() if place in self._changing]
        return Recording(self._pieces, made, self._kept)


class Recording:
    """Runs what was recorded again, on the same memory."""

    def __init__(self, pieces: Sequence[Piece], made: Sequence[Tensor], kept: Sequence[Any]) -> None:
        self._made, self._kept = made, kept
        tensors = {_storage(t): t.untyped_storage().nbytes() for t in kept if isinstance(t, Tensor)}
        self.bytes = sum(tensors.values())  # that stay as long as the recording
        self._parts: list[Any] = []  # arrays of steps, and what PyTorch does
        waiting: list[Step] = []
        for piece in (*pieces, None):
            if isinstance(piece, Step):
                waiting.append(piece)
                continue
            if waiting:
                self._parts.append(compiled_steps(waiting))
                waiting = []
            if piece is not None:
                self._parts.append(piece)

    def __call__(self) -> None:
        """Make all numbers anew."""
        for part in self._parts:
            part() if callable(part) else replay(part)

    def forget(self) -> None:
        """Spoil all numbers that a replay must make."""
        for tensor in self._made:
            tensor.fill_(torch.nan if tensor.is_floating_point() else 0)


def recorded(function: Callable[[], Any], changing: Iterable[Tensor]) -> tuple[Any, Recording]:
    """What a function returns, and how to make it anew in the same place after `changing` have other numbers."""
    recorder = Recorder(changing)
    with Listening(recorder.called), recorder:
        found = function()
    return found, recorder.recording()


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _written(func: Any, args: Any, kwargs: Any) -> list[Tensor]:
    """The arguments that an operation writes into."""
    schema = func._schema.arguments
    values = [*args, *(kwargs.get(a.name) for a in schema[len(args) :])]
    return [
        v
        for a, v in zip(schema, values, strict=False)
        if a.alias_info is not None and a.alias_info.is_write and isinstance(v, Tensor)
    ]


def _again(func: Any, args: Any, kwargs: Any, found: Any) -> Callable[[], None]:
    """PyTorch itself, with the results in their place."""

    def run() -> None:
        new = func(*args, **kwargs)
        for old, made in zip(tree_leaves(found), tree_leaves(new), strict=True):
            if isinstance(old, Tensor) and old is not made and old.data_ptr() != made.data_ptr():
                old.copy_(made)

    return run


def _bits(number: float) -> int:
    return ctypes.c_int64.from_buffer_copy(ctypes.c_double(number)).value
