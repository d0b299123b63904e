"""Expressions of a tape as lines of a program: what C++ and Triton have in common."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from equipot.kernels.polynomial import Node, Tape, arguments_of


@dataclass(frozen=True)
class Language:
    """How a language writes a definition, a component of an input, and a number."""

    define: str  # of {name} as {text}
    load: Callable[[int, int], str]  # slot, component
    number: Callable[[float], str]  # that multiplies
    constant: Callable[[float], str]  # that is added
    root: str  # names of functions
    logistic: str


def definitions(tape: Tape, node: Node, known: set[int], language: Language) -> list[str]:
    """What defines a node and is not known yet, without recursion: programs are long."""
    lines: list[str] = []
    waiting = [] if node is None else [node]
    while waiting:
        top = waiting[-1]
        before = arguments_of(tape.nodes[top])
        missing = [n for n in before if n not in known] if top not in known else []
        if missing:
            waiting += reversed(missing)
            continue
        waiting.pop()
        if top not in known:
            known.add(top)
            lines.append(language.define.format(name=f"v{top}", text=_text(language, *tape.nodes[top])))
    return lines


def _text(language: Language, what: str, *arguments: Any) -> str:
    if what == "input":
        return language.load(*arguments)
    if what == "product":
        return f"v{arguments[0]} * v{arguments[1]}"
    if what == "inverse":
        return f"{language.number(1.0)} / v{arguments[0]}"
    if what in ("root", "logistic"):
        return f"{getattr(language, what)}(v{arguments[0]})"
    constant, terms = arguments
    by_size: dict[float, str] = {}  # couplings have few different numbers: one multiplication for each
    for factor, node in terms:
        by_size[abs(factor)] = by_size.get(abs(factor), "") + f" {'-' if factor < 0 else '+'} v{node}"
    sums = []
    for size, text in by_size.items():
        first = text.removeprefix(" + ")
        first = f"-{first.removeprefix(' - ')}" if first.startswith(" - ") else first
        sums.append(first if size == 1.0 else f"{language.number(size)} * ({first})")
    if constant:
        sums.append(language.constant(constant))
    return " + ".join(sums)
