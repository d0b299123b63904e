"""Parts of a potential that training leaves as they are."""

import difflib
from collections.abc import Collection, Sequence

from equipot.potential import Potential

MECHANICAL = ("energy", "forces", "stress")


def freeze(potential: Potential, paths: Sequence[str]) -> None:
    """Take parameters out of training, by the path of a module or a parameter that they lie under."""
    for path in paths:
        inside = [p for name, p in potential.named_parameters() if f"{name}.".startswith(f"{path}.")]
        if not inside:
            raise ValueError(f"start.freeze: {_unknown(potential, path)}")
        for parameter in inside:
            parameter.requires_grad_(False)


def learnable(potential: Potential, labels: Collection[str]) -> tuple[str, ...]:
    """Those of some labels that a parameter in training has an influence on."""
    free = [name for name, p in potential.named_parameters() if p.requires_grad]
    return tuple(label for label in labels if any(_feeds(name, label) for name in free))


def freeze_unused(potential: Potential, labels: Collection[str]) -> None:
    """Take out what no label in training depends on: heads without labels, and vectors that no head reads."""
    for name, parameter in potential.named_parameters():
        if not any(_feeds(name, label) for label in labels):
            parameter.requires_grad_(False)


def head_of(label: str) -> str:
    """The head that a label trains: forces and stress are derivatives of the energy."""
    return "energy" if label in MECHANICAL else label


def _feeds(parameter: str, label: str) -> bool:
    """Whether a label can depend on a parameter: the backbone's on all, a head's on its own."""
    head = head_of(label)
    if parameter.startswith("heads."):
        return parameter.startswith(f"heads.{head}.")
    return head != "energy" or not parameter.startswith("lift.")


def _unknown(potential: Potential, path: str) -> str:
    names = [name for name, _ in potential.named_parameters()]
    steps = [name.split(".") for name in names]
    known = sorted({".".join(s[:depth]) for s in steps for depth in range(1, len(s) + 1)})
    close = difflib.get_close_matches(path, known, n=1, cutoff=0.6)
    large = sorted(
        {".".join(s[: 2 if s[0] in ("heads", "model") else 1]) for s in steps} | {"model", "heads"}
    )
    hint = f"Did you mean {close[0]!r}? " if close else ""
    return f"no part {path!r} with weights in this model. {hint}Large parts: {', '.join(large)}."
