"""Whether the engines of this machine compute the same numbers: each against ASE in float64 with reference kernels."""

import copy
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from ase import Atoms

from equipot.config import nearest
from equipot.data.frame import Frame
from equipot.deploy.document import Proof
from equipot.engines.catalog import ENGINES
from equipot.engines.momenta import maxwell_boltzmann, without_rigid_motion
from equipot.engines.settings import EngineName
from equipot.engines.trace import Trace
from equipot.potential import Potential
from equipot.testing.compare import FLOOR, deviation, scale, worst

Tracer = Callable[[Potential, Atoms, float, int], Trace]

LIMIT = 1e-10  # relative: round-off of sums and units in float64
DT, STEPS = 0.25, 3  # fs
TEMPERATURE = 300.0  # K, of the momenta
MOST = 3  # structures


def chosen(names: str | Sequence[str]) -> tuple[EngineName, ...]:
    """Engines by their names, separated by commas, or "all" that are installed."""
    if names == "all":
        return tuple(name for name, engine in ENGINES.items() if engine.installed)
    out: list[EngineName] = []
    for name in names.split(",") if isinstance(names, str) else names:
        if name not in ENGINES:
            raise ValueError(f"no engine {name!r}.{nearest(name, list(ENGINES))}")
        ENGINES[name].require()
        out.append(name)
    return tuple(out)


def missing() -> tuple[str, ...]:
    """A line for every engine that is not installed: it is not counted as agreeing."""
    return tuple(
        f"engine {name}: not installed, not proved. {engine.how_to_install}"
        for name, engine in ENGINES.items()
        if not engine.installed
    )


def agreement(
    potential: Potential,
    structures: Sequence[Frame | Atoms],
    engines: Sequence[EngineName],
    say: Callable[[str], None] | None = None,
) -> tuple[Proof, ...]:
    """Energy, forces, stress and three NVE steps of every engine, on at most three of the structures.

    An engine that refuses the model or a structure has no proof: that is told to `say`, or a ValueError without it.
    """
    if "energy" not in potential.targets:
        raise ValueError(
            f"engines move atoms by an energy; this model predicts {', '.join(potential.targets)}."
        )
    if not structures:
        raise ValueError(
            "engines are compared on structures, and none is given: atoms alone do not count as one."
        )
    precise = copy.deepcopy(potential).double().eval()
    spread = structures[:: max(1, -(-len(structures) // MOST))]
    starts = [moving(s, seed) for seed, s in enumerate(spread)]
    with reference_kernels():
        references = [tracer("ase")(precise, atoms, DT, STEPS) for atoms in starts]
    out: list[Proof] = []
    for name in engines:
        try:
            found = [tracer(name)(precise, atoms, DT, STEPS) for atoms in starts]
        except ValueError as error:
            if say is None:
                raise
            say(f"engine {name}: not proved. {error}")
            continue
        out += proofs_of(name, precise, starts, found, references)
    return tuple(out)


def tracer(name: EngineName) -> Tracer:
    """The function of an engine, whose package is imported here and not before."""
    match name:
        case "ase":
            from equipot.engines.trace import trace
        case "openmm":
            from equipot.engines.openmm.trace import trace
        case "torchsim":
            from equipot.engines.torchsim.trace import trace
        case "lammps":
            from equipot.engines.lammps.trace import trace
        case "ipi":
            from equipot.engines.ipi.trace import trace
    return trace


def proofs_of(
    name: EngineName,
    potential: Potential,
    starts: Sequence[Atoms],
    found: Sequence[Trace],
    expected: Sequence[Trace],
) -> Iterator[Proof]:
    """One line for every quantity that the engine has."""
    pairs, smallest = list(zip(found, expected, strict=True)), FLOOR * scale(potential, "energy")
    own = [_constant(potential, atoms) for atoms in starts]
    count = f"{len(starts)} structure{'s' * (len(starts) > 1)}"

    def line(quantity: str, errors: Sequence[float], limit: float, how: str) -> Proof:
        value = worst({str(k): error for k, error in enumerate(errors)})
        title, detail = f"{name} = reference: {quantity}", f"{how}; {count}"
        return Proof(name=title, value=value, limit=limit, passed=value <= limit, detail=detail)

    energies = [
        _relative(f.energies[:1] - e0, e.energies[:1] - e0, smallest)
        for (f, e), e0 in zip(pairs, own, strict=True)
    ]
    yield line("energy", energies, LIMIT, "relative to what the atoms have beyond their references")
    forces = [_relative(f.forces[0], e.forces[0], smallest) for f, e in pairs]
    yield line("forces", forces, LIMIT, "relative to the largest")
    stresses = [_relative(f.stress, e.stress, 0.0) for f, e in pairs if f.stress is not None is not e.stress]
    if stresses:
        yield line("stress", stresses, LIMIT, "relative to the largest")
    steps = [max(_moved(f, e), _relative(f.forces, e.forces, smallest)) for f, e in pairs]
    how = f"way and forces over {STEPS} steps of {DT:g} fs, relative to the largest"
    yield line("NVE steps", steps, LIMIT, how)


def moving(structure: Frame | Atoms, seed: int) -> Atoms:
    """The atoms with momenta at 300 K."""
    atoms = structure.atoms() if isinstance(structure, Frame) else structure.copy()
    atoms.calc = None
    masses, rng = atoms.get_masses(), np.random.default_rng(seed)
    momenta = maxwell_boltzmann(masses, TEMPERATURE, 1, rng)
    atoms.set_momenta(without_rigid_motion(momenta, atoms.positions[None], masses, not atoms.pbc.any())[0])
    return atoms


@contextmanager
def reference_kernels() -> Iterator[None]:
    """Plain PyTorch inside, whatever the user has chosen."""
    before = os.environ.get("EQUIPOT_KERNELS")
    os.environ["EQUIPOT_KERNELS"] = "reference"
    try:
        yield
    finally:
        os.environ.pop("EQUIPOT_KERNELS")
        if before is not None:
            os.environ["EQUIPOT_KERNELS"] = before


def _moved(found: Trace, expected: Trace) -> float:
    """Of the ways from the start; the last digits of a position far from the origin say nothing."""
    ways = [trace.positions - expected.positions[0] for trace in (found, expected)]
    return _relative(*ways, at_least=1e-3)


def _relative(found: np.ndarray | None, expected: np.ndarray | None, at_least: float) -> float:
    assert found is not None and expected is not None
    return deviation(torch.as_tensor(found), torch.as_tensor(expected), max(at_least, 1e-30))


def _constant(potential: Potential, atoms: Atoms) -> float:
    """What the atoms have of themselves, eV: total energies may be 10⁵ times larger than what they depend on."""
    species = torch.tensor([potential.elements.index(z) for z in atoms.numbers])
    return float(potential.constant_energies(species).sum())
