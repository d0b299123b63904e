"""Triton kernels without a GPU: run in the interpreter, and compiled for an H100.

What only a device shows is not here: races, launch limits and times need `benchmarks/speed/gpu.py` where there is one.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from equipot.kernels import EdgeProduct, Polynomial, Slot, Tape, chooser
from equipot.kernels.cpu.build import NoCompiler
from equipot.kernels.edge_polynomial import edge_polynomial, tabulated_gradient
from equipot.kernels.gpu import build
from equipot.kernels.gpu.generate import Kernel, kernels
from equipot.kernels.gpu.program import program, tile
from equipot.kernels.gpu.walks import CONSTANTS, GRAPH
from equipot.nn.contraction import SymmetricContraction
from equipot.nn.density import DensityProjection
from equipot.tensor.irreps import Irrep, Irreps
from kernels.test_edge import PAINN

MAX_REGISTERS = 255  # of a thread; beyond, numbers are spilled
SIZES = ("E", "KNOTS", "ROWS")
MAX_SHARED = 48 * 1024  # bytes of a block, without asking for more
triton_only = pytest.mark.skipif(not build.installed(), reason="Triton is not installed")


@pytest.mark.slow
@triton_only
def test_the_interpreter_agrees():
    """Every test of `test_gpu_interpreted`, in a process whose Triton is the interpreter."""
    here = Path(__file__)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "-x"]
    done = subprocess.run(
        [*command, str(here.with_name("test_gpu_interpreted.py"))],
        env={**os.environ, "TRITON_INTERPRET": "1"}, cwd=here.parents[2],
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "passed" in done.stdout
    assert "skipped" not in done.stdout


def density(features: str, l_max: int, wanted: list[Irrep]) -> EdgeProduct:
    irreps = Irreps.parse(features)
    return DensityProjection(irreps, irreps.channels("0e"), l_max, wanted, "spherical").spec


BOTH = [Irrep(l, p) for l in range(3) for p in (1, -1)]
NEQUIP = density("64x0e + 64x1o + 64x2e", 2, BOTH)
MACE = density("128x0e + 128x1o", 3, [Irrep.natural(l) for l in range(4)])


def forward(spec):
    return edge_polynomial(spec, True)


def gradient(spec):
    return forward(spec).derivative((True, True, True), (True,))


def second(spec):
    return gradient(spec).derivative((True,) * 4, (True,) * 3)


class Resources(NamedTuple):
    """Of a compiled kernel."""

    registers: int
    spilled: int  # bytes
    shared: int  # bytes of a block
    moves_in_loop: int  # of numbers between threads, at the cost of barriers


def compiled_for_hopper(kernel: Kernel, channels: int, number: str = "fp32") -> Resources:
    """Ahead of time, as on an H100, up to what its assembler says of it."""
    import triton
    from triton import knobs
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    size, function = tile(kernel, channels), build.module(kernel.text).run
    constants = dict(zip(CONSTANTS, (channels, size.edges, size.channels), strict=True))
    types = {
        **dict.fromkeys(CONSTANTS, "constexpr"),
        **dict.fromkeys(GRAPH, "*i64"),
        **dict.fromkeys(SIZES, "i32"),
    }
    signature = {name: types.get(name, f"*{number}") for name in function.arg_names}
    aligned = {(n,): [["tt.divisibility", 16]] for n, t in enumerate(signature.values()) if t[0] == "*"}
    source = ASTSource(function, signature, constants, aligned)
    made = triton.compile(source, GPUTarget("cuda", 90, 32), {"num_warps": size.warps})
    command = [knobs.nvidia.ptxas.path, "-v", "--gpu-name=sm_90a", "-o", os.devnull, "-"]
    said = subprocess.run(command, input=made.asm["ptx"], capture_output=True, text=True, check=True).stderr
    found = [int(re.search(p, said)[1]) for p in (r"Used (\d+) registers", r"(\d+) bytes spill stores")]
    loop = made.asm["ttgir"].partition("scf.for")[2].partition("scf.yield")[0]
    return Resources(*found, made.metadata.shared, loop.count("convert_layout"))


SMALLER_MACE = density("128x0e + 128x1o", 2, [Irrep.natural(l) for l in range(3)])
PROGRAMS = [
    *(pytest.param(PAINN, order, 128, id=f"painn-{order.__name__}") for order in (forward, gradient, second)),
    *(pytest.param(NEQUIP, order, 64, id=f"nequip-{order.__name__}") for order in (forward, gradient)),
    *(pytest.param(MACE, order, 128, id=f"mace-{order.__name__}") for order in (forward, gradient)),
    pytest.param(SMALLER_MACE, second, 128, id="mace-second"),  # the others take half a minute to compile
]


@triton_only
@pytest.mark.parametrize(("spec", "order", "channels"), PROGRAMS)
def test_compiled_kernels_fit_the_device(spec, order, channels, monkeypatch, tmp_path):
    """No register is spilled, shared memory suffices, and numbers of the loop stay in their threads."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    for kernel in kernels(order(spec), torch.float32):
        found = compiled_for_hopper(kernel, channels)
        assert found.spilled == 0, kernel.walk
        assert found.registers <= MAX_REGISTERS
        assert found.shared <= MAX_SHARED
        assert found.moves_in_loop == 0


def product():
    """MACE's product basis, a third power of features up to degree two."""
    irreps = Irreps.uniform(128, [Irrep.natural(l) for l in range(3)])
    block = SymmetricContraction(irreps, [Irrep(0, 1), Irrep(1, -1)], 3, 4, "spherical")
    assert block.sums is not None
    return block.sums._polynomial(False)


def sums():
    """Over groups of rows and over all of them, as products of pairs and their gradients have them."""
    tape = Tape()
    terms = [
        tape.product(tape.input(0, k), tape.product(tape.input(1, k), tape.input(2, 0))) for k in range(9)
    ]
    outputs = (Slot(9, "group"), Slot(1, "shared"))
    return Polynomial(
        tape, (Slot(9), Slot(9, "group"), Slot(1, "shared")), outputs, (tuple(terms), (terms[0],))
    )


@triton_only
@pytest.mark.parametrize("polynomial", [product, sums])
def test_compiled_polynomials_fit_the_device(polynomial, monkeypatch, tmp_path):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    first = polynomial()
    gradient_ = first.derivative((True,) * len(first.inputs), (True,) * len(first.outputs))
    for kernel in [k for p in (first, gradient_) for k in kernels(p, torch.float32)]:
        found = compiled_for_hopper(kernel, 128)
        assert found.spilled == 0, kernel.walk
        assert found.shared <= MAX_SHARED


@triton_only
def test_tables_and_double_precision_compile(monkeypatch, tmp_path):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    for kernel in kernels(tabulated_gradient(PAINN, True, True), torch.float64):
        assert compiled_for_hopper(kernel, 128, "fp64").spilled == 0


def test_no_kernel_writes_to_a_place_twice():
    """Every component of every output belongs to one kernel, and none is added to atomically."""
    for order in (forward, gradient, second):
        polynomial = order(NEQUIP)
        texts = [k.text for k in kernels(polynomial, torch.float32)]
        place = r"tl\.store\((out\d+ \+ \(i \* \d+ \+ \d+\)|out\d+ \+ e \* \d+ \+ \d+|q\d+ \+ \d+)[ ,]"
        stored = [found for text in texts for found in re.findall(place, text)]
        assert not any("atomic" in text for text in texts)
        assert len(stored) == len(set(stored)) == sum(slot.components for slot in polynomial.outputs)


def test_tiles_follow_the_operation():
    """Never a measurement: the order of sums is the same in every run."""
    few, many = kernels(forward(PAINN), torch.float32)[0], kernels(forward(NEQUIP), torch.float32)[0]
    assert tile(few, 128) == (4, 64, 4)
    assert tile(many, 64) == (1, 32, 1)


def test_without_triton_there_is_no_program(monkeypatch):
    monkeypatch.setattr(build, "installed", lambda: False)
    build.module.cache_clear()
    program.cache_clear()
    with pytest.raises(NoCompiler, match="Triton is not installed"):
        program(forward(PAINN), torch.float32)


def test_who_computes_what(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    assert chooser.back_end(torch.device("cuda")).name == "Triton"
    assert chooser.back_end(torch.device("cpu")).name == "C++"
    assert chooser.back_end(torch.device("meta")) is None
    monkeypatch.setenv("EQUIPOT_KERNELS", "reference")
    assert "EQUIPOT_KERNELS=reference" in chooser.status_on_cuda()


def test_the_status_is_honest(monkeypatch):
    monkeypatch.delenv("EQUIPOT_KERNELS", raising=False)
    monkeypatch.setattr(chooser, "installed", lambda: True)
    assert "not run on a device" in chooser.status_on_cuda()
    monkeypatch.setattr(chooser, "installed", lambda: False)
    assert "Triton is not installed" in chooser.status_on_cuda()
