"""Total charge and multiplicity of frames, for models that read them."""

from collections.abc import Iterable, Mapping, Sequence

from equipot.batch import CONDITION_WORDS, Condition
from equipot.data.frame import Frame

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


def refuse_without(frame: Frame, names: Iterable[str]) -> None:
    """Raise ValueError when a frame lacks a charge or multiplicity, or has one that no number of electrons allows."""
    for name in names:
        if getattr(frame, name) is None:
            raise ValueError(
                f"{frame.where}: no {CONDITION_WORDS[name]}, which the model reads (model.conditions).\n"
                f"Write {name}=... with every frame, name the entry that holds it by data.keys.{name}=NAME, or set"
                f" atoms.info[{name!r}] of an ase.Atoms."
            )
    if "spin" in names:
        _check_multiplicity(frame)


def refuse_unseen(frame: Frame, known: Mapping[str, Sequence[float]]) -> None:
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


def _check_multiplicity(frame: Frame) -> None:
    spin = frame.spin
    assert spin is not None
    if spin < 1 or spin != round(spin):
        raise ValueError(
            f"{frame.where}: spin = {spin:g}; expected the multiplicity 2S + 1, which is 1 for a singlet, 2 for a"
            " doublet. Is it a number of unpaired electrons? Then write that and one."
        )
    charge = frame.charge
    if charge is None or charge != round(charge):
        return
    electrons = int(frame.numbers.sum()) - round(charge)
    if (electrons + round(spin)) % 2 == 0:
        raise ValueError(
            f"{frame.where}: {frame.formula} of total charge {charge:g} has {electrons} electrons, which cannot have"
            f" the multiplicity {spin:g}. Correct charge or spin."
        )
