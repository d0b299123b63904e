"""A model as a package that runs without Python: traced with its gradient, compiled by PyTorch.

    make_fx -> torch.export -> AOTInductor -> model.pt2

The package belongs to the processor and the PyTorch that made it. It is compared with the model before it is handed
over, at shapes that the tracing has not seen.

Nothing is exchanged: a process computes its own atoms and all copies as far as messages reach, and differentiates the
energy of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from ase.data import chemical_symbols
from jaxtyping import Float, Int
from torch import Tensor
from torch.export import Dim
from torch.fx.experimental.proxy_tensor import make_fx

from equipot.engines.lammps.domain import domain
from equipot.engines.lammps.messages import messages
from equipot.potential import Potential, frozen
from equipot.potential.edge_gradients import edge_gradients

TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4}  # relative to the largest number

Inputs = tuple[Tensor, ...]  # species, row pointer, receivers, senders, vectors, weights of the energies


def write_package(potential: Potential, path: Path) -> None:
    """Compile, compare, write; takes a minute or more.

    Raises ValueError for a package that computes other numbers.
    """
    potential = frozen(potential).cpu()
    potential.block = None  # a traced program takes any number of edges
    reach = messages(potential).cutoffs
    function, example = _function(potential), _inputs(potential, 23, 14, 97, seed=0)
    traced = make_fx(function, tracing_mode="symbolic", _allow_non_fake_inputs=True)(*example)
    atoms, edges = {0: Dim("atoms", min=5)}, {0: Dim("edges", min=2)}
    ends = {0: atoms[0] + 1}
    program = torch.export.export(traced, example, dynamic_shapes=(atoms, ends, edges, edges, edges, atoms))
    about = {
        "equipot_cutoff": repr(potential.cutoff),
        "equipot_reach": str(reach),  # of messages, in cutoffs
        "equipot_elements": " ".join(chemical_symbols[z] for z in potential.elements),
    }
    torch._inductor.aoti_compile_and_package(
        program, package_path=str(path), inductor_configs={"aot_inductor.metadata": about}
    )
    _compare(function, torch._inductor.aoti_load_package(str(path)), potential)


def _function(potential: Potential) -> Callable[..., tuple[Tensor, Tensor]]:
    """Energies of atoms and gradients of edges, by reference kernels."""

    def run(
        species: Tensor,
        row_pointer: Tensor,
        receivers: Tensor,
        senders: Tensor,
        vectors: Tensor,
        weights: Tensor,
    ) -> tuple[Tensor, Tensor]:
        batch = domain(species, row_pointer, receivers, senders, vectors, _unused)
        whole = replace(batch, halo=_Everything(species[:0]))
        return edge_gradients(potential, whole, weights)

    return run


def _unused(rows: Tensor, forward: bool) -> Tensor:
    raise AssertionError("a package exchanges nothing")


@dataclass(frozen=True, eq=False)
class _Everything:
    """A halo without copies: every atom has a row. With it nothing counts on mirrored edges."""

    species: Int[Tensor, " copies"]

    def fill(self, values: Float[Tensor, "atoms *rest"]) -> Float[Tensor, "atoms *rest"]:
        return values

    def to(self, device: torch.device | str) -> "_Everything":
        return replace(self, species=self.species.to(device))


def _inputs(potential: Potential, atoms: int, others: int, edges: int, seed: int) -> Inputs:
    """Any numbers: edges up to a little beyond the cutoff, from some atoms to any; every third atom is owned."""
    generator = torch.Generator().manual_seed(seed)

    def whole(high: int, size: int) -> Tensor:
        return torch.randint(high, (size,), generator=generator)

    receivers = whole(atoms, edges).sort().values
    counts = torch.bincount(receivers, minlength=atoms + others)
    directions = torch.randn(edges, 3, generator=generator, dtype=torch.float64)
    lengths = torch.linspace(0.3, 1.05, edges, dtype=torch.float64)[:, None] * potential.cutoff
    return (
        whole(len(potential.elements), atoms + others),
        torch.cat([counts.new_zeros(1), counts.cumsum(0)]),
        receivers,
        whole(atoms + others, edges),
        lengths * directions / directions.norm(dim=1, keepdim=True),
        (torch.arange(atoms + others) % 3 == 0).double(),
    )


def _compare(function: Callable[..., Any], package: Callable[..., Any], potential: Potential) -> None:
    limit = TOLERANCE[next(potential.parameters()).dtype]
    for seed, sizes in enumerate(((23, 14, 97), (5, 40, 300), (61, 7, 2), (4, 2, 11)), start=1):
        inputs = _inputs(potential, *sizes, seed=seed)
        for found, expected in zip(package(*inputs), function(*inputs), strict=True):
            error = float((found - expected).abs().max() / expected.abs().max().clamp(min=1e-12))
            if not error < limit:
                raise ValueError(
                    f"--python-free: the compiled model differs from the model by {error:.1e} (relative), limit"
                    f" {limit:.0e}. It is not handed over. Please report this."
                )
