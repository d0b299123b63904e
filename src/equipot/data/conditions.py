"""Total charge and multiplicity of frames, for models that read them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from equipot.batch import CONDITION_WORDS, Condition
from equipot.data.findings import Finding
from equipot.data.frame import Frame
from equipot.data.read import Frames
from equipot.statistics import Statistics

#: more values than this are no charges or multiplicities
MOST_VALUES = 64


def occurring(frames: Sequence[Frame], names: Sequence[Condition]) -> dict[str, tuple[float, ...]]:
    """The values of each condition in a training set, ascending; ValueError for a frame that lacks one."""
    for frame in frames:
        refuse_without(frame, names)
    found = {name: tuple(sorted({float(getattr(f, name)) for f in frames})) for name in names}
    for name, values in found.items():
        if len(values) > MOST_VALUES:
            raise ValueError(
                f"{frames[0].source}: {len(values)} different values of {name}, from {values[0]:g} to {values[-1]:g};"
                f" expected the {CONDITION_WORDS[name]} of whole systems. Name its entry by data.keys.{name}=NAME."
            )
    return found


def in_words(names: Iterable[Condition], statistics: Statistics) -> str:
    """What a model reads of a system, with the values that it knows; empty when it reads nothing."""
    values = {n: ", ".join(f"{v:g}" for v in statistics.conditions.get(n, ())) for n in names}
    return "; ".join(f"{CONDITION_WORDS[name]} {listing}" for name, listing in values.items())


def refuse_without(frame: Frame, names: Iterable[str]) -> None:
    """Raise ValueError when a frame lacks a charge or multiplicity, or has one that no number of electrons allows."""
    for name in names:
        if getattr(frame, name) is None:
            raise ValueError(
                f"{frame.where}: no {CONDITION_WORDS[name]}, which the model reads (model.conditions).\n"
                f"Write {name}=... with every frame, name the entry that holds it by data.keys.{name}=NAME, or set"
                f" atoms.info[{name!r}] of an ase.Atoms."
            )
    if "spin" in names and (why := impossible(frame)) is not None:
        raise ValueError(f"{frame.where}: {why}")


def refuse_unseen(frame: Frame, known: Mapping[Condition, Sequence[float]]) -> None:
    """Raise ValueError when a frame lacks what a model reads, or has a value that the model was not trained on."""
    refuse_without(frame, known)
    for name, values in known.items():
        value = getattr(frame, name)
        if value not in values:
            listing = ", ".join(f"{v:g}" for v in values)
            raise ValueError(
                f"{frame.where}: {CONDITION_WORDS[name]} {value:g}, but this model was trained on {listing}.\n"
                f"Train with frames of {CONDITION_WORDS[name]} {value:g}, or leave the frame out."
            )


def impossible(frame: Frame) -> str | None:
    """What is wrong with the multiplicity of a frame; None when nothing is, or when there is none."""
    spin, charge = frame.spin, frame.charge
    if spin is None:
        return None
    if spin < 1 or spin != round(spin):
        return (
            f"spin = {spin:g}; expected the multiplicity 2S + 1, which is 1 for a singlet, 2 for a doublet. Is it a"
            " number of unpaired electrons? Then write that and one."
        )
    if charge is None or charge != round(charge):
        return None
    electrons = int(frame.numbers.sum()) - round(charge)
    if (electrons + round(spin)) % 2 == 1:
        return None
    return (
        f"{frame.formula} of total charge {charge:g} has {electrons} electrons, which cannot have the multiplicity"
        f" {spin:g}. Correct charge or spin."
    )


def varying(frames: Sequence[Frame]) -> list[str]:
    """Conditions of which more than one value occurs."""
    return [name for name in CONDITION_WORDS if len({getattr(f, name) for f in frames} - {None}) > 1]


def check_conditions(frames: Frames) -> Iterator[Finding]:
    """Row 13: states that positions alone do not tell apart, given for some frames, or impossible."""
    differing = varying(frames.structures)
    for name, words in CONDITION_WORDS.items():
        counts = Counter(getattr(f, name) for f in frames.structures)
        missing = counts.pop(None, 0)
        if name in differing:
            yield Finding(
                level="warning",
                row=13,
                title=f"{len(counts)} values of the {words}",
                where=frames.path,
                evidence=", ".join(f"{value:g} in {counts[value]} frames" for value in sorted(counts))
                + ". Energies of positions alone cannot tell them apart",
                fix=f"model.conditions=[{', '.join(differing)}]",
            )
        if missing and counts:
            first = next(f.index for f in frames.structures if getattr(f, name) is None)
            yield Finding(
                level="warning",
                row=13,
                title=f"{missing} of {len(frames.structures)} frames have no {words}",
                where=frames.path,
                evidence=f"the first is frame {first}. A model that reads the {words} refuses them: nothing stands for"
                " a missing one",
                fix=f"write {name}=... with every frame",
            )
    wrong = next(((f, why) for f in frames.structures if (why := impossible(f)) is not None), None)
    if wrong is not None:
        frame, why = wrong
        yield Finding(
            level="warning", row=13, title="an impossible multiplicity", where=frame.where, evidence=why
        )
