"""One way to evaluate a model for all checks."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypedDict

import torch
from ase import Atoms
from jaxtyping import Float
from torch import Tensor

from equipot.batch import AtomicBatch
from equipot.data.collate import batch_of
from equipot.data.frame import Frame
from equipot.potential import Potential
from equipot.properties import Properties, from_items


class State(TypedDict):
    """What a frame says of its system as a whole."""

    charge: float
    spin: float | None


def as_frame(structure: Frame | Atoms) -> Frame:
    """A structure without its labels."""
    frame = Frame.from_atoms(structure) if isinstance(structure, Atoms) else structure
    return replace(frame, labels={})


def batch(potential: Potential, frames: Sequence[Frame]) -> AtomicBatch:
    """Frames as the model sees them, on its device."""
    device = next(potential.parameters()).device
    return batch_of(frames, potential.elements, potential.cutoff).to(device)


def predict(potential: Potential, *frames: Frame) -> Properties:
    """Everything that the model predicts for these frames, as one batch.

    Energies are measured from what the atoms have of themselves, so that a relative error is one of the model:
    total energies may be 10⁵ times larger than what they depend on.
    """
    return evaluate(potential, batch(potential, frames))


def evaluate(potential: Potential, systems: AtomicBatch) -> Properties:
    """The same for a batch that exists."""
    derivatives = "energy" in potential.targets
    out = potential(
        systems,
        forces=derivatives,
        stress=derivatives and bool(systems.pbc.all()),
        virials=derivatives,
        targets=defined(potential, periodic=bool(systems.pbc.any())),
    ).detach()
    if out.atomic_energies is None or out.energy is None:
        return out
    atomic = out.atomic_energies - potential.constant_energies(systems.species)
    return replace(out, atomic_energies=atomic, energy=systems.sum_over_systems(atomic))


def energies(
    potential: Potential, frames: Sequence[Frame], max_atoms: int = 4000
) -> Float[Tensor, " systems"]:
    """Energies of many frames above what their atoms have of themselves, eV, in batches of bounded size."""
    per_batch = max(1, max_atoms // max(f.num_atoms for f in frames))
    parts = []
    for start in range(0, len(frames), per_batch):
        systems = batch(potential, frames[start : start + per_batch])
        with torch.no_grad():
            out = potential(systems, targets={"energy"})
        assert out.atomic_energies is not None
        parts.append(
            systems.sum_over_systems(out.atomic_energies - potential.constant_energies(systems.species))
        )
    return torch.cat(parts).cpu()


def defined(potential: Potential, *, periodic: bool) -> tuple[str, ...]:
    """Targets that have a meaning: those built on positions have none in a periodic system."""
    if not periodic:
        return potential.targets
    targets, molecular = potential.config.targets, set()
    if targets.dipole is not None and targets.dipole.form != "atomic":
        molecular.add("dipole")
    if targets.polarizability is not None and targets.polarizability.form == "positions":
        molecular.add("polarizability")
    return tuple(n for n in potential.targets if n not in molecular)


def declared_charge(potential: Potential) -> float:
    """Total charge, e, of structures built for this model: what it was declared for, else the one nearest to none."""
    declared = potential.config.targets.total_charge
    if declared != "frame":
        return float(declared)
    return min(potential.conditions_read.get("charge", (0.0,)), key=abs)


def usual_state(potential: Potential) -> State:
    """Charge of structures built for this model, and the lowest multiplicity that it knows, where it reads one."""
    spins = potential.conditions_read.get("spin")
    return {"charge": declared_charge(potential), "spin": None if spins is None else min(spins)}


def per_atom(potential: Potential) -> set[str]:
    """Names of the properties that have one row per atom."""
    tensors = potential.config.targets.tensors
    return {
        "forces",
        "charges",
        "born_charges",
        "atomic_energies",
        "virials",
        *(n for n, t in tensors.items() if t.per == "atom"),
    }


def map_atoms(potential: Potential, properties: Properties, act: Callable[[Tensor], Tensor]) -> Properties:
    """Apply a function to the properties of atoms, leaving those of systems."""
    names = per_atom(potential)
    return from_items({n: act(v) if n in names else v for n, v in properties.items()})
