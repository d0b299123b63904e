"""Batches that an evaluation takes: of about as many edges, and no larger than the memory allows."""

from collections.abc import MutableMapping, Sequence
from weakref import WeakKeyDictionary

from equipot.data.collate import Graph
from equipot.evaluate.free_memory import usable
from equipot.evaluate.memory import GENEROUS_EVALUATION, Room, room, runs
from equipot.evaluate.predict import predict
from equipot.potential import Potential

EDGES_PER_BATCH = 16384.0
_ROOMS: MutableMapping[Potential, dict[tuple[object, ...], Room]] = WeakKeyDictionary()


def batches(
    potential: Potential,
    graphs: Sequence[Graph],
    names: Sequence[str],
    edges_per_batch: float = EDGES_PER_BATCH,
) -> list[list[Graph]]:
    """Structures in their order, in batches of so many edges, or fewer where more would not fit the memory.

    ValueError when a structure does not fit by itself.
    """
    parts = runs(graphs, lambda g: max(g.num_edges, g.num_atoms), edges_per_batch)
    device = next(potential.parameters()).device
    space = _room(potential, graphs, tuple(names), float(max(map(len, parts), default=0)))
    if space is None:
        return parts
    space.refuse(graphs, "energy and forces" if "forces" in names else "a prediction", device)
    return [piece for part in parts for piece in space.cut(part)]


def _room(
    potential: Potential, graphs: Sequence[Graph], names: tuple[str, ...], largest: float
) -> Room | None:
    """Measured once for a potential, which keeps its size while it is trained; the memory is that of now."""
    weight = next(potential.parameters())
    known, key = _ROOMS.setdefault(potential, {}), (names, weight.device, weight.dtype)
    if key in known:
        return known[key].model_copy(update={"bytes": usable(weight.device)})
    found = room(
        lambda chosen: predict(potential, chosen, names),
        graphs,
        largest,
        weight.device,
        GENEROUS_EVALUATION,
    )
    if found is not None:
        known[key] = found
    return found
