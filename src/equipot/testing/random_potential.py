"""Models with random weights whose outputs are of the size of real ones."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor, nn

from equipot.potential import Potential, PotentialConfig
from equipot.statistics import Statistics, TargetStatistics
from equipot.tensor.basis import Spherical
from equipot.tensor.irreps import Irreps
from equipot.tensor.matrix import to_parts
from equipot.testing.evaluation import batch, usual_state
from equipot.testing.systems import molecule

CONDITIONS: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {"charge": (-1.0, 0.0, 1.0), "spin": (1.0, 2.0, 3.0)}
)


def random_potential(
    config: PotentialConfig,
    elements: Sequence[int],
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> Potential:
    """A model as training would leave it but for its weights: every bias alive, every output of order one.

    Biases start at zero and random read-outs are small, so that an untrained model passes many tests by
    predicting next to nothing. Here the biases are drawn, too, and the scales of the targets are set so that
    the root mean square over random molecules is one (eV/Å for forces) in each irrep.
    """
    unit = Statistics(
        elements=tuple(sorted(elements)),
        mean_neighbors=10.0,
        reference_energies=tuple(-10.0 * z for z in sorted(elements)),
        reference_source="given",
        conditions={name: CONDITIONS[name] for name in config.model.conditions},
    )
    measured = _measure(_with_weights(config, unit, seed).double())
    return _with_weights(config, measured, seed).to(dtype).eval()


def _with_weights(config: PotentialConfig, statistics: Statistics, seed: int) -> Potential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        potential = Potential(config, statistics)
        for module in potential.modules():
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.normal_(module.bias, std=0.3)
    return potential


def _measure(potential: Potential) -> Statistics:
    frames = [molecule(potential.elements, 6, seed, **usual_state(potential)) for seed in range(4)]
    systems = batch(potential, frames)
    out = potential(systems, forces="energy" in potential.targets).detach()
    statistics = potential.statistics
    baseline = (0.0,) * len(statistics.elements)
    targets = {
        name: TargetStatistics(baseline=baseline, scales=_scales(potential, name, value))
        for name, value in out.items()
        if name not in ("energy", "atomic_energies", "forces")
    }
    energy_scale = 1.0 if out.forces is None else 1 / _rms(out.forces)
    return statistics.model_copy(update={"energy_scale": energy_scale, "targets": targets})


def _scales(potential: Potential, name: str, value: Tensor) -> tuple[float, ...]:
    if name == "polarizability":
        trace = value.diagonal(dim1=1, dim2=2).mean(-1)
        rest = value - trace[:, None, None] * torch.eye(3, dtype=value.dtype, device=value.device)
        return 1 / _rms(trace), 1 / _rms(rest)
    if name == "born_charges":
        parts = to_parts(value.unsqueeze(-1), Spherical()).split([1, 3, 5], dim=1)
        return tuple(1 / _rms(part) for part in parts)
    target = potential.config.targets.tensors.get(name)
    if target is None or target.irreps is None:
        return (1 / _rms(value),)
    parts = value.split([copies * irrep.dim for copies, irrep in Irreps.parse(target.irreps)], dim=-1)
    return tuple(1 / _rms(part) for part in parts)


def _rms(value: Tensor) -> float:
    return float(value.square().mean().sqrt())
