"""Steps of the machine that are made of tensors: their sizes, strides and addresses."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from equipot.kernels.cpu.machine import (
    AXES,
    CALL,
    CAST,
    CASTS,
    CODES,
    COMPARISONS,
    PANEL,
    TYPES,
    Step,
    packed,
)

Number = int | float
SERIAL_PRODUCT = 1 << 18  # multiplications: below so many one thread is faster than waking others


class NotHere(Exception):
    """The machine has no steps for this."""


class Steps:
    """Steps that are being made, and the tensors that they need beside those of PyTorch."""

    def __init__(self, constant: Callable[[Tensor], bool]) -> None:
        self.steps: list[Step] = []
        self.kept: list[Tensor] = []
        self.constant = constant  # whether numbers are the same in every replay

    def keep(self, tensor: Tensor) -> Tensor:
        """A tensor that must stay where it is."""
        self.kept.append(tensor)
        return tensor

    def elementwise(
        self, name: str, out: Tensor, *given: Tensor | Number, numbers: Sequence[Number] = ()
    ) -> None:
        """One of the machine's functions of numbers; those of another type are converted before."""
        kind = out.dtype
        if name in COMPARISONS:
            assert isinstance(given[0], Tensor)
            kind = given[0].dtype
        types = [torch.bool if name == "where" and n == 0 else kind for n in range(len(given))]
        values = [self.typed(value, dtype, out) for value, dtype in zip(given, types, strict=True)]
        if kind not in TYPES:
            raise NotHere(name)
        self.steps += _strided(CODES[name], TYPES[kind], out, values, numbers)

    def typed(self, value: Tensor | Number, dtype: torch.dtype, like: Tensor) -> Tensor:
        """A tensor of the type."""
        if not isinstance(value, Tensor):
            return self.keep(like.new_full((), value, dtype=dtype))
        if value.dtype == dtype:
            return value
        return self.cast(self.keep(torch.empty(value.shape, dtype=dtype)), value)

    def cast(self, out: Tensor, value: Tensor) -> Tensor:
        """Of another type, into its place."""
        if value.dtype not in CASTS or out.dtype not in CASTS:
            raise NotHere("cast")
        code = len(CASTS) * CASTS.index(value.dtype) + CASTS.index(out.dtype)
        self.steps += _strided(code, CAST, out, [value])
        return out

    def copy(self, out: Tensor, value: Tensor | Number) -> None:
        """Whatever the types and strides."""
        if not isinstance(value, Tensor):
            value = self.keep(out.new_full((), value))
        self.cast(out, value)

    def sum(self, name: str, out: Tensor, value: Tensor, axes: Sequence[int]) -> None:
        """Over axes, which the result has or has not."""
        if out.dtype not in TYPES or value.dtype != out.dtype:
            raise NotHere(name)
        self.copy(out, 0.0)
        axes = sorted(a % value.ndim for a in axes)
        view = out
        if out.ndim != value.ndim:
            for axis in axes:
                view = view.unsqueeze(axis)
        result = [0 if n in axes else s for n, s in enumerate(view.stride())]
        strides = [result, value.stride()]
        self.steps += _joined(CODES[name], TYPES[out.dtype], value.shape, strides, [out, value], ())

    def product(self, out: Tensor, a: Tensor, b: Tensor, bias: Tensor | None) -> None:
        """A b + bias."""
        if out.dtype not in TYPES or (out.shape[1] > 1 and out.stride(1) != 1):
            raise NotHere("product")
        if bias is not None and (bias.ndim != 1 or bias.stride(0) != 1 or bias.shape[0] != out.shape[1]):
            raise NotHere("bias")
        panels = self.keep(packed(b))
        if not self.constant(b):
            self._pack(panels, b)
        (rows, inner), columns = a.shape, b.shape[1]
        threads = 1 if rows * inner * columns < SERIAL_PRODUCT else torch.get_num_threads()
        self.steps.append(
            Step(
                CODES["product"],
                TYPES[out.dtype],
                (rows, columns, inner, threads),
                ((out.stride(0),), a.stride()),
                tuple(t.data_ptr() if t is not None else 0 for t in (out, a, panels, bias)),
            )
        )

    def _pack(self, panels: Tensor, b: Tensor) -> None:
        width = PANEL // b.element_size()
        whole = b.shape[1] // width
        if whole:
            self.copy(panels[:whole], b[:, : whole * width].unflatten(1, (whole, width)).transpose(0, 1))
        if rest := b.shape[1] - whole * width:
            self.copy(panels[whole, :, :rest], b[:, whole * width :])

    def products(self, out: Tensor, a: Tensor, b: Tensor) -> None:
        """Of many small matrices."""
        if out.dtype not in TYPES:
            raise NotHere("products")
        sizes = (*out.shape, a.shape[2])
        data = (out.data_ptr(), a.data_ptr(), b.data_ptr())
        self.steps.append(
            Step(CODES["products"], TYPES[out.dtype], sizes, (out.stride(), a.stride(), b.stride()), data)
        )

    def rows(self, name: str, out: Tensor, value: Tensor, index: Tensor, factor: Number = 1.0) -> None:
        """Rows of `value` by number into `out`, or rows of `value` added to those of `out` by number."""
        gathers = name == "rows"
        dtype = torch.float64 if out.dtype == torch.int64 and gathers else out.dtype  # copied bit by bit
        inner = out[0].numel() if len(out) else 0
        dense = out.is_contiguous() and (len(value) == 0 or value[0].is_contiguous())
        if not dense or dtype not in TYPES or index.dtype != torch.int64 or index.ndim != 1:
            raise NotHere(name)
        number = self.keep(index.contiguous()) if self.constant(index) else index
        if not number.is_contiguous():
            raise NotHere("index")
        sizes, strides = (len(number), inner), ((inner,), (value.stride(0),))
        data = (out.data_ptr(), value.data_ptr(), number.data_ptr())
        self.steps.append(Step(CODES[name], TYPES[dtype], sizes, strides, data, (factor,)))

    def places(self, name: str, out: Tensor, value: Tensor, places: Tensor) -> None:
        """Numbers of `value` by place into `out`, or numbers of `value` added to places of `out`."""
        if out.dtype not in TYPES or not out.is_contiguous() or not value.is_contiguous():
            raise NotHere(name)
        place = self.keep(places.contiguous())
        data = (out.data_ptr(), value.data_ptr(), place.data_ptr())
        self.steps.append(Step(CODES[name], TYPES[out.dtype], (place.numel(),), (), data))

    def normalized(self, name: str, out: Tensor, a: Tensor, b: Tensor, c: Tensor, epsilon: Number) -> None:
        """Along the last axis."""
        tensors = (out, a, b, c)
        if out.dtype not in TYPES or not all(t.is_contiguous() and t.dtype == out.dtype for t in tensors):
            raise NotHere(name)
        sizes, data = (c.numel(), out.shape[-1]), tuple(t.data_ptr() for t in tensors)
        self.steps.append(Step(CODES[name], TYPES[out.dtype], sizes, (), data, (epsilon,)))


def call(address: int, words: int) -> Step:
    """Of a compiled program with the list of its arguments."""
    return Step(CALL, CALL, data=(address, words))


def _strided(
    code: int, kind: int, out: Tensor, given: Sequence[Tensor], numbers: Sequence[Number] = ()
) -> list[Step]:
    strides = [out.stride(), *(t.expand(out.shape).stride() for t in given)]
    return _joined(code, kind, out.shape, strides, [out, *given], numbers)


def _joined(
    code: int,
    kind: int,
    shape: Sequence[int],
    strides: Sequence[Sequence[int]],
    tensors: Sequence[Tensor],
    numbers: Sequence[Number],
) -> list[Step]:
    """With axes left out that have one number, and joined that lie behind one another in all tensors; none for none."""
    if 0 in shape:
        return []
    kept: list[list[int]] = []  # size, and a stride of each
    for size, *steps in zip(shape, *strides, strict=True):
        if size == 1:
            continue
        if kept and all(before == size * step for before, step in zip(kept[-1][1:], steps, strict=True)):
            kept[-1] = [kept[-1][0] * size, *steps]
        else:
            kept.append([size, *steps])
    kept = kept or [[1, *(0 for _ in strides)]]
    if len(kept) > AXES:
        raise NotHere("more axes than the machine has")
    sizes, *columns = zip(*kept, strict=True)
    data = tuple(t.data_ptr() for t in tensors)
    return [Step(code, kind, sizes, tuple(columns), data, tuple(numbers))]
