"""The proofs: the numerical contract, measured on one trained model and on structures of its user."""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from ase import Atoms
from ase.data import chemical_symbols

from equipot import testing
from equipot.data.conditions import refuse_unseen
from equipot.data.frame import Frame
from equipot.deploy.document import Proof
from equipot.engines.drift import nve_drift
from equipot.potential import Potential, frozen, table_errors
from equipot.testing.compare import Residuals, deviation, scale, worst
from equipot.testing.evaluation import usual_state

ROUND_OFF = 1e-10  # relative, float64: 1e-16 times the operations in a row, and cancellation in sums
DIFFERENCES = 1e-7  # relative: what finite differences of step 5e-5 Å leave in float64
NVE_DRIFT = 1e-5  # eV/atom/ps
NVE_STEP, NVE_STEPS = 0.25, 400  # fs
SINGLE = 1e-4  # relative: 6e-8 times the operations in a row, and cancellation in sums
MAX_HESSIAN_ATOMS = 24  # one backward pass per coordinate


@dataclass(frozen=True)
class Specimens:
    """The structures that a model is examined on."""

    frames: tuple[Frame, ...]  # of the user, or built from the model's elements
    small: Frame  # few atoms, for second derivatives
    molecules: tuple[Frame, Frame]  # two that can be put far apart
    crystal: Frame  # periodic in three directions, for the stress
    given: bool  # whether the frames are the user's


def verify(
    potential: Potential, frames: Sequence[Frame | Atoms] | None = None, *, quick: bool = False
) -> tuple[Proof, ...]:
    """Measure what must hold for every model, on a float64 copy of this one.

    Equivariance, parity, permutation, translation, batching; forces, stress and second derivatives; the
    cutoff; additivity and isolated atoms; conservation; single against double precision. Up to three of the
    frames are used, one if `quick`; without frames, structures are built from the elements that the model
    knows. Dynamics takes a minute and must start from a structure that the model was made for: it is left out
    without frames, and if `quick`.
    """
    precise = copy.deepcopy(potential).double().eval()
    specimens = choose(precise, frames or (), 1 if quick else 3)
    proofs = [*_symmetries(precise, specimens), *_locality(precise, specimens)]
    if "energy" in potential.targets:
        proofs += [*_derivatives(precise, specimens), *_conservation(precise, specimens)]
        if (
            specimens.given and not quick and "velocities" not in potential.inputs
        ):  # else energy is none of positions
            proofs.append(_dynamics(precise, specimens))
    if next(potential.parameters()).dtype == torch.float32:
        how = _size(specimens)
        proofs.append(_rounded("float32 = float64", potential, precise, specimens, how))
        tabulated = frozen(potential)
        errors = table_errors(tabulated)
        if errors:
            how = f"radial networks as tables within {max(errors.values()):.0e} of a weight, as calculators use them"
            proofs.append(_rounded("frozen = float64", tabulated, precise, specimens, how))
    return tuple(proofs)


def choose(potential: Potential, structures: Sequence[Frame | Atoms], most: int) -> Specimens:
    """Frames evenly spread over those given, and built structures where these do not serve."""
    state, elements = usual_state(potential), potential.elements
    built = testing.molecule(elements, 6, seed=1, **state)
    spread = structures[:: max(1, len(structures) // most)][:most]
    for frame in map(testing.as_frame, spread):
        refuse_unseen(frame, potential.conditions_read)
    frames = tuple(testing.as_frame(s) for s in spread) or (built,)
    smallest = min(frames, key=lambda f: f.num_atoms)
    usual = {name: state[name] for name in potential.conditions_read}
    alike = [f for f in frames if all(getattr(f, name) == value for name, value in usual.items())]
    molecule = next((f for f in alike if not f.pbc.any()), built)
    crystal = next((f for f in alike if f.pbc.all()), testing.crystal(elements, **state))
    return Specimens(
        frames=frames,
        small=smallest if smallest.num_atoms <= MAX_HESSIAN_ATOMS else built,
        molecules=(molecule, testing.molecule(elements, 5, seed=2, **state)),
        crystal=crystal,
        given=bool(structures),
    )


def _symmetries(potential: Potential, specimens: Specimens) -> Iterator[Proof]:
    checks: tuple[tuple[str, Callable[[Potential, Frame], Residuals], str], ...] = (
        ("equivariance", testing.rotation, "turned at random"),
        ("parity", testing.reflection, "mirrored at a random plane"),
        ("translation", testing.translation, "moved by up to 5 Å in each direction"),
        ("permutation", testing.permutation, "atoms numbered at random"),
        ("neighbor order", testing.edge_order, "neighbors listed at random"),
    )
    for name, check, how in checks:
        residuals = _largest(check(potential, frame) for frame in specimens.frames)
        yield _proof(name, residuals, ROUND_OFF, f"{how}; {_size(specimens)}")
    together = testing.batch_composition(potential, specimens.molecules)
    yield _proof("batch = loop", together, ROUND_OFF, "two molecules in one batch and each alone")


def _locality(potential: Potential, specimens: Specimens) -> Iterator[Proof]:
    jump = testing.cutoff_jump(potential)
    yield _proof("cutoff smoothness", jump, DIFFERENCES, "jump as an atom leaves the range of a bonded pair")
    added = testing.fragments_add(potential, *specimens.molecules)
    if added:
        yield _proof("extensivity", added, ROUND_OFF, "two molecules far apart against each alone")
    repeated = testing.supercell(potential, specimens.crystal, (2, 1, 1))
    if repeated:
        yield _proof("supercell", repeated, ROUND_OFF, "a periodic cell against two of them")
    alone = {chemical_symbols[int(z)]: value for z, value in testing.isolated_atoms(potential).items()}
    yield _proof("isolated atom", alone, ROUND_OFF, f"finite, without force; {_above_references(potential)}")


def _above_references(potential: Potential) -> str:
    """How far atoms alone are from their reference energies: no model is bound to give these."""
    found = testing.isolated_energies(potential)
    if not found:
        return "each element"
    energies = ", ".join(f"{chemical_symbols[z]} {e:+.3g} eV" for z, e in found.items())
    return f"energy above the reference: {energies}"


def _derivatives(potential: Potential, specimens: Specimens) -> Iterator[Proof]:
    forces = max(testing.forces_by_differences(potential, frame) for frame in specimens.frames)
    how = "against five-point differences of the energy, relative to the largest force"
    yield _proof("forces", {"forces": forces}, DIFFERENCES, f"{how}; {_size(specimens)}")
    stress = testing.stress_by_differences(potential, specimens.crystal)
    yield _proof("stress", {"stress": stress}, DIFFERENCES, "against strained cells")
    virials = testing.virials_sum(potential, specimens.crystal)
    yield _proof("virials", {"sum": virials}, ROUND_OFF, "of the atoms add up to the stress")
    second = testing.second_derivatives(potential, specimens.small)
    yield _proof("second derivatives", second, DIFFERENCES, "symmetric, and against differences of forces")
    singular = max((_hessian_error(potential, frame) for frame in _zero_vectors(potential)), default=0.0)
    yield _proof(
        "second derivatives at symmetric sites",
        {"asymmetry": singular},
        ROUND_OFF,
        "finite and symmetric: atom alone, linear molecule, center of inversion",
    )
    gradient = testing.force_loss_gradient(potential, [specimens.small, *_zero_vectors(potential)[:2]])
    finite = gradient if gradient == float("inf") else 0.0
    yield _proof("training gradient", {"gradient": finite}, 0.0, "of squared forces, finite")


def _conservation(potential: Potential, specimens: Specimens) -> Iterator[Proof]:
    net = {"force": max(testing.net_force(potential, frame) for frame in specimens.frames)}
    if not potential.inputs:  # which take up angular momentum
        molecules = [f for f in (*specimens.frames, *specimens.molecules) if not f.pbc.any()]
        net["torque"] = max(testing.net_torque(potential, frame) for frame in molecules)
    name = f"net {' and '.join(net)}"
    yield _proof(name, net, ROUND_OFF, "relative to the largest of an atom")
    if "charges" in potential.targets:
        error = max(testing.total_charge_error(potential, frame) for frame in specimens.frames)
        yield _proof("total charge", {"charge": error}, ROUND_OFF, "e")
    if "born_charges" in potential.targets:
        error = max(testing.acoustic_sum_error(potential, frame) for frame in specimens.frames)
        yield _proof("acoustic sum rule of Born charges", {"charge": error}, ROUND_OFF, "e")


def _dynamics(potential: Potential, specimens: Specimens) -> Proof:
    """Drift of the total energy, beyond what the time step explains.

    Velocity Verlet conserves an energy that differs by O(dt²) and wanders with the vibrations; over a run
    this short its slope is far above any true drift. It falls fourfold when the step is halved; a drift that
    the model causes stays. So the slope at half the step must be below its change, or below the limit.
    """
    atoms = min(specimens.frames, key=lambda frame: frame.num_atoms).atoms()
    coarse = nve_drift(potential, atoms, temperature=300.0, dt=NVE_STEP, steps=NVE_STEPS)
    fine = nve_drift(potential, atoms, temperature=300.0, dt=NVE_STEP / 2, steps=2 * NVE_STEPS)
    explained = abs(coarse - fine)
    detail = (
        f"eV/atom/ps over {NVE_STEP * NVE_STEPS:g} fs from 300 K, time step {NVE_STEP / 2:g} fs;"
        f" {explained:.1e} is due to the time step"
    )
    limit = max(NVE_DRIFT, explained) if math.isfinite(explained) else NVE_DRIFT
    return _proof("energy drift in NVE", {"energy": abs(fine)}, limit, detail)


def _rounded(
    title: str, potential: Potential, precise: Potential, specimens: Specimens, detail: str
) -> Proof:
    """What training and fast dynamics lose, relative to forces that matter and not to zero."""
    residuals: Residuals = {}
    for frame in specimens.frames:
        exact = testing.predict(precise, frame)
        for name, value in testing.predict(potential, frame).items():
            expected = exact.get(name)
            assert expected is not None
            error = deviation(value, expected, scale(precise, name))
            residuals[name] = max(error, residuals.get(name, 0.0))
    return _proof(title, residuals, SINGLE, detail)


def _zero_vectors(potential: Potential) -> list[Frame]:
    """Structures where equivariant features vanish by symmetry."""
    number, state = potential.elements[-1], usual_state(potential)
    lattice = testing.crystal([number], (1, 1, 1), **state)
    return [testing.one_atom(number, **state), testing.chain(number, **state), lattice]


def _hessian_error(potential: Potential, frame: Frame) -> float:
    matrix = testing.hessian(potential, frame)
    return deviation(matrix, matrix.T, scale(potential, "forces"))


def _largest(residuals: Iterator[Residuals]) -> Residuals:
    out: Residuals = {}
    for one in residuals:
        out.update({name: max(value, out.get(name, 0.0)) for name, value in one.items()})
    return out


def _proof(name: str, residuals: Residuals, limit: float, detail: str) -> Proof:
    value = worst(residuals)
    at = max(residuals, key=lambda key: residuals[key])
    if len(residuals) > 1:
        detail = f"largest for {at}; {detail}"
    return Proof(name=name, value=value, limit=limit, passed=value <= limit, detail=detail)


def _size(specimens: Specimens) -> str:
    count = len(specimens.frames)
    whose = "given" if specimens.given else "built"
    return f"{count} {whose} {'frame' if count == 1 else 'frames'}"
