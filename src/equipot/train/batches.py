"""Which structures meet in which step."""

from collections.abc import Iterator, Sequence

import torch


def epoch_batches(
    sizes: Sequence[int], budget: float, seed: int, epoch: int, minimum: int = 1
) -> list[list[int]]:
    """A seeded permutation cut into batches of about `budget` edges, so that steps cost alike.

    A batch closes when the next structure would carry it past the budget; none has fewer than `minimum` structures
    (one for every process), except that a short rest joins the batch before it.
    """
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    batches: list[list[int]] = [[]]
    filled = 0
    for index in torch.randperm(len(sizes), generator=generator).tolist():
        if filled + sizes[index] > budget and len(batches[-1]) >= minimum:
            batches.append([])
            filled = 0
        batches[-1].append(index)
        filled += sizes[index]
    if len(batches) > 1 and len(batches[-1]) < minimum:
        rest = batches.pop()
        batches[-1] += rest
    return batches


def share(batch: Sequence[int], sizes: Sequence[int], rank: int, world: int) -> list[int]:
    """The part of a batch that one process evaluates: heaviest first, each to the process with least to do."""
    loads = [0] * world
    counts = [0] * world
    mine: list[int] = []
    for index in sorted(batch, key=lambda i: (-sizes[i], i)):
        target = min(range(world), key=lambda r: (loads[r], counts[r], r))
        loads[target] += max(sizes[index], 1)
        counts[target] += 1
        if target == rank:
            mine.append(index)
    return mine


def steps(
    sizes: Sequence[int], budget: float, seed: int, start: int, minimum: int = 1
) -> Iterator[list[int]]:
    """Batches without end, epoch after epoch, from the given step on."""
    epoch, skip = 0, start
    while True:
        batches = epoch_batches(sizes, budget, seed, epoch, minimum)
        if skip < len(batches):
            yield from batches[skip:]
            skip = 0
        else:
            skip -= len(batches)
        epoch += 1
