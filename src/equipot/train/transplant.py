"""A potential that goes on from another one: its weights, its statistics, and what the new data adds to them."""

from collections.abc import Collection, Sequence

import torch
from ase.data import chemical_symbols

from equipot.data.frame import Frame
from equipot.data.references import isolated_energies
from equipot.data.statistics import measure
from equipot.deploy.model_file import weights
from equipot.potential import Potential, PotentialConfig, TargetsConfig
from equipot.potential.targets import NAMED
from equipot.statistics import Statistics, TargetStatistics
from equipot.train.config import RunConfig
from equipot.train.parent import Parent


def transplant(parent: Parent, config: PotentialConfig, statistics: Statistics, seed: int) -> Potential:
    """A potential with the parent's weights wherever it has them; new heads, and what they need, are fresh.

    Raises ValueError where the parent has no room for the elements of the statistics.
    """
    own = weights(parent.potential)
    torch.manual_seed(seed)
    potential = Potential(config, statistics).to(next(parent.potential.parameters()).dtype)
    with torch.no_grad():
        for name, tensor in weights(potential).items():
            if name in own and own[name].shape == tensor.shape:
                tensor.copy_(own[name])
            elif name in own or not _is_new(name, parent.potential):
                raise _no_room(parent, statistics, name)
    return potential


def united(parent: PotentialConfig, asked: TargetsConfig, heads: str) -> PotentialConfig:
    """The parent's configuration with the targets asked for and, unless `heads` are dropped, its own besides.

    The last layer of the backbone goes on to make what it made for the parent's heads, and nothing else: its weights
    fit nothing else.
    """
    targets, own = asked, parent.targets
    if heads == "keep":
        names = [n for n in ("energy", *NAMED) if getattr(asked, n) is None]
        changes = {n: getattr(own, n) for n in names} | {"tensors": {**own.tensors, **asked.tensors}}
        targets = asked.model_copy(update=changes)
    made = parent.outputs_read()
    outputs = None if targets.irreps_read() == made else tuple(str(irrep) for irrep in sorted(made))
    return parent.model_copy(update={"targets": targets, "outputs": outputs})


def extended(
    parent: Parent, targets: TargetsConfig, config: RunConfig, frames: Sequence[Frame]
) -> Statistics:
    """The parent's statistics, with what is new measured: elements, targets, an energy that it did not predict.

    Reference energies of new elements are those of their isolated atoms, or zero until they are fitted.
    """
    old, potential = parent.document.statistics, parent.document.potential
    given = config.data.reference_energies
    exact = potential.model.free_atoms_exact
    measured = measure(
        frames, potential.model.cutoff, targets, given, potential.terms, free_atoms_exact=exact
    )
    elements = tuple(sorted({*old.elements, *measured.elements}))
    names = [*old.targets, *(n for n in measured.targets if n not in old.targets)]
    changes: dict[str, object] = {
        "elements": elements,
        "targets": {name: _target(name, old, measured, elements) for name in names},
    }
    energies = dict(zip(old.elements, old.reference_energies, strict=True))
    if potential.targets.energy is None and targets.energy is not None:
        energies = dict(zip(measured.elements, measured.reference_energies, strict=True))
        same = ("source", "fitted", "condition")
        taken = [f"reference_{n}" for n in same] + ["energy_shift", "energy_scale"]
        changes |= {name: getattr(measured, name) for name in taken}
    alone = isolated_energies(frames)
    changes["reference_energies"] = tuple(energies.get(z, alone.get(z, 0.0)) for z in elements)
    return old.model_copy(update=changes)


def symbols(numbers: Collection[int]) -> str:
    """Elements in words."""
    return ", ".join(chemical_symbols[z] for z in sorted(numbers))


def _target(name: str, old: Statistics, new: Statistics, elements: Sequence[int]) -> TargetStatistics:
    """Scales of the parent where it has them; the baseline of each element stored, else measured, else zero."""
    stored, measured = old.targets.get(name), new.targets.get(name)
    first = stored or measured
    assert first is not None
    baseline = {} if measured is None else dict(zip(new.elements, measured.baseline, strict=True))
    baseline |= {} if stored is None else dict(zip(old.elements, stored.baseline, strict=True))
    return TargetStatistics(baseline=tuple(baseline.get(z, 0.0) for z in elements), scales=first.scales)


def _is_new(name: str, parent: Potential) -> bool:
    """Whether a parameter belongs to a head that the parent lacks, or to the vectors that such a head needs."""
    part, _, rest = name.partition(".")
    return part == "lift" or (part == "heads" and rest.partition(".")[0] not in parent.heads)


def _no_room(parent: Parent, statistics: Statistics, name: str) -> ValueError:
    known, model = parent.potential.elements, parent.potential.config.model.name
    new = set(statistics.elements) - set(known)
    assert new, f"{name} of {model} does not fit, although the elements are the same"
    return ValueError(
        f"{parent.path}: knows {symbols(known)}; the new data has {symbols(new)} as well. A {model} has weights for "
        f"each of its elements ({name}), to which none can be added.\n"
        f"Leave out the frames with {symbols(new)}, or train from scratch. Models that embed every element, as schnet "
        "and painn do, can be taken further."
    )
