"""What a training begins with: frames that the model can take, neighbors, a potential, the labels it learns from."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import torch

from equipot.batch import Condition
from equipot.data import references
from equipot.data.collate import Graph, graph, refuse_incomplete, refuse_unknown
from equipot.data.conditions import refuse_unseen
from equipot.data.statistics import measure
from equipot.potential import Potential, PotentialConfig, TargetsConfig
from equipot.potential.targets import NAMED
from equipot.statistics import Statistics
from equipot.train.config import RunConfig
from equipot.train.dataset import Splits
from equipot.train.distributed import Process
from equipot.train.objective import soften

Say = Callable[[str], None]


@dataclass(frozen=True)
class Beginning:
    """Everything before the first step."""

    potential: Potential
    graphs: dict[str, list[Graph]]  # train, valid, test
    names: tuple[str, ...]  # labels that are trained on


def from_scratch(config: RunConfig, splits: Splits, process: Process, say: Say) -> Beginning:
    """Statistics of the training set, and a potential with fresh weights."""
    statistics = measure(
        [*splits.train, *splits.isolated],
        config.model.cutoff,
        config.targets,
        config.data.reference_energies,
        config.terms,
        config.model.conditions,
        free_atoms_exact=config.model.free_atoms_exact,
    )
    refuse_unfit(splits, config.targets, statistics.elements, config.model.atomic_inputs)
    refuse_other_conditions(splits, config, statistics)
    for note in (*splits.notes, *_said_of_references(config, statistics)):
        say(note)
    graphs = graphs_of(splits, config.model.cutoff)
    potential = build(config, statistics, graphs["train"], process.device)
    return Beginning(potential, graphs, config.targets.names())


def resolved(config: RunConfig, splits: Splits, optional: Collection[str] = ()) -> RunConfig:
    """The configuration with everything that depends on the data spelled out.

    Targets of `optional` for which no training frame has a label are taken off.
    """
    targets = config.targets
    bare = {n for n in optional if not any(n in f.labels for f in splits.train)}
    changes: dict[str, object] = {n: None for n in NAMED if n in bare}
    changes["tensors"] = {n: t for n, t in targets.tensors.items() if n not in bare}
    if targets.energy is not None and targets.energy.stress == "auto":
        has_stress = any("stress" in f.labels for f in splits.train)
        changes["energy"] = targets.energy.model_copy(update={"stress": has_stress})
    return config.model_copy(update={"targets": targets.model_copy(update=changes)})


def build(
    config: RunConfig, statistics: Statistics, train: Sequence[Graph], device: torch.device
) -> Potential:
    """A fresh potential, its energy read-out softened on a few training structures."""
    torch.manual_seed(config.train.seed)
    potential = Potential(
        PotentialConfig(model=config.model, targets=config.targets, terms=config.terms), statistics
    )
    potential.to(dtype=getattr(torch, config.train.precision), device=device)
    soften(potential, train)
    return potential


def graphs_of(splits: Splits, cutoff: float) -> dict[str, list[Graph]]:
    """Neighbors of the frames of each part."""
    return {name: [graph(f, cutoff) for f in frames] for name, frames in splits.parts().items()}


def refuse_unfit(
    splits: Splits, targets: TargetsConfig, elements: Sequence[int], inputs: Sequence[str] = ()
) -> None:
    """Frames that a model of these elements, targets and inputs could not evaluate, found before the first step."""
    total = targets.total_charge
    charged = targets.charges is not None or targets.born_charges is not None
    charged |= targets.dipole is not None and targets.dipole.form != "atomic"
    for frame in (f for frames in splits.parts().values() for f in frames):
        refuse_unknown(frame, elements)
        refuse_incomplete(frame, inputs)
        if charged and total == "frame" and frame.charge is None:
            raise ValueError(
                f"{frame.where}: no total charge, which the targets charges, dipole and born_charges need.\n"
                "Paste targets.total_charge=0 if all systems are neutral, write charge=... with every frame, or name"
                " the entry that holds it by data.keys.charge=NAME."
            )
        if charged and total != "frame" and frame.charge not in (None, total):
            raise ValueError(
                f"{frame.where}: total charge {frame.charge:g}, but targets.total_charge={total:g} declares"
                " another for all systems. Leave the key out: every frame then says its own."
            )


def refuse_other_conditions(splits: Splits, config: RunConfig, statistics: Statistics) -> None:
    """Frames without a charge or multiplicity that the model reads, or with one that is not in training."""
    names = config.model.conditions
    if "charge" in names and config.targets.total_charge != "frame":
        raise ValueError(
            "model.conditions names the charge of every frame, and targets.total_charge declares one for all of them."
            " Leave one of the two keys out."
        )
    known: dict[Condition, tuple[float, ...]] = {name: statistics.conditions.get(name, ()) for name in names}
    for frame in (f for frames in splits.parts().values() for f in frames):
        refuse_unseen(frame, known)


def _said_of_references(config: RunConfig, statistics: Statistics) -> list[str]:
    """Where the energies of the elements come from, and a warning with its fix where they are not determined."""
    if config.targets.energy is None:
        return []
    known = references.finding(
        references.of_statistics(statistics), statistics.elements, str(config.data.train)
    )
    warning = [known.text()] if known is not None and known.level == "warning" else []
    return [f"reference energies: {references.in_words(statistics)}", *warning]
