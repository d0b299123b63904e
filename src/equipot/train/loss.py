"""One dimensionless loss for all targets.

    L = Σ_s [ (ΔE/(√N ℓ))² + Σ_i |ΔF_i|² + Σ |ΔS V/(√N 1 Å)|² ] / (σ_F² · number of labels)  +  Σ_t w_t L_t

Every label counts once; the length ℓ is the only exchange rate between energies and forces. Tensorial targets
enter as L_t, the count-weighted mean of (Δ/(√N σ_l))² over their irreps, with w_t = 0.1 each and 0.3 together.

Missing labels (NaN) leave numerator and count. Counts are those of the whole batch, of all processes.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from equipot.batch import AtomicBatch
from equipot.potential.targets import TargetsConfig
from equipot.properties import Properties
from equipot.statistics import Statistics
from equipot.tensor.basis import Spherical
from equipot.tensor.irreps import Irreps
from equipot.tensor.matrix import to_parts

LENGTH, LENGTH_COOLDOWN = 0.2, 0.07  # Å
SPHERICAL = Spherical()
MECHANICAL = ("energy", "forces", "stress")
VOIGT = ((0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1))


@dataclass(frozen=True)
class Weights:
    """How residuals of different kinds are brought to one scale."""

    given: Mapping[str, float] | None  # published recipes: weight of each mean squared error, in eV and Å
    energy_per_atom: bool
    huber: bool
    target_weight: float


def weights(
    given: Mapping[str, float] | str, energy_per_atom: bool, huber: bool, num_tensorial: int
) -> Weights:
    """Automatic weights, or those that the user gives by target."""
    target_weight = min(0.1, 0.3 / max(num_tensorial, 1))
    return Weights(None if isinstance(given, str) else given, energy_per_atom, huber, target_weight)


class Loss:
    """Sums of squared, scaled residuals per target, and the counts that turn them into means."""

    def __init__(self, targets: TargetsConfig, statistics: Statistics, weighting: Weights) -> None:
        self.targets, self.statistics, self.weighting = targets, statistics, weighting

    def counts(self, labels: Properties) -> dict[str, Float[Tensor, ""]]:
        """Target -> how many numbers are labelled."""
        return {n: _present(label).sum() * float(_independent(n, label)) for n, label in labels.items()}

    def sums(
        self, predicted: Properties, labels: Properties, batch: AtomicBatch, length: float
    ) -> dict[str, Float[Tensor, ""]]:
        """Target -> sum of the penalties of its scaled residuals."""
        out: dict[str, Tensor] = {}
        for name, label in labels.items():
            value = predicted.get(name)
            assert value is not None, f"{name} is labelled but was not evaluated"
            # masked before any arithmetic: NaN in a branch that is not taken would reach the gradient
            known = ~torch.isnan(label)
            delta = torch.where(known, value, 0.0) - torch.where(known, label, 0.0)
            residual = self._scaled(name, delta, batch, length)
            out[name] = self._penalty(residual.flatten(1) if residual.ndim > 1 else residual[:, None]).sum()
        return out

    def total(
        self, sums: Mapping[str, Tensor], counts: Mapping[str, float]
    ) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """The loss, and the share of every target in it."""
        given = self.weighting.given
        if given is not None:
            parts = {n: given.get(n, 0.0) * s / max(counts[n], 1.0) for n, s in sums.items()}
        else:
            # of the whole batch, also where a part of it has nothing to say of stress
            mechanical = sum(counts[n] for n in counts if n in MECHANICAL)
            parts = {n: s / max(mechanical, 1.0) for n, s in sums.items() if n in MECHANICAL}
            for name in (n for n in sums if n not in MECHANICAL):
                parts[name] = self.weighting.target_weight * sums[name] / max(counts[name], 1.0)
        return torch.stack(list(parts.values())).sum(), {n: p.detach() for n, p in parts.items()}

    def _penalty(self, x: Float[Tensor, "rows components"]) -> Float[Tensor, "rows terms"]:
        """Squares, or the pseudo-Huber loss 2(√(1 + |x|²) − 1)."""
        if not self.weighting.huber:
            return x**2
        # of the norm of the row, which unlike a loss of the components is invariant to rotation
        return 2 * (torch.sqrt(1 + (x**2).sum(-1, keepdim=True)) - 1)

    def _scaled(
        self, name: str, delta: Float[Tensor, "rows *components"], batch: AtomicBatch, length: float
    ) -> Float[Tensor, "rows *more"]:
        root = batch.atoms_per_system().to(delta.dtype).sqrt()
        force = self.statistics.energy_scale
        if self.weighting.given is not None:
            per_atom = name == "energy" and self.weighting.energy_per_atom
            return delta / root**2 if per_atom else delta
        match name:
            case "energy":
                return delta / (root * length * force)
            case "forces":
                return delta / force
            case "stress":
                scale = batch.volume() / (root * 1.0 * force)
                return delta[:, *VOIGT] * scale[:, None]
        return self._tensorial(name, delta, root)

    def _tensorial(
        self, name: str, delta: Float[Tensor, "rows *components"], root: Float[Tensor, " systems"]
    ) -> Float[Tensor, "rows *more"]:
        scales = self.statistics.targets[name].scales
        per_system = name in ("dipole", "polarizability") or (
            name in self.targets.tensors and self.targets.tensors[name].per == "system"
        )
        if per_system:
            delta = delta / root.reshape(-1, *[1] * (delta.ndim - 1))
        if name == "polarizability":
            trace = delta.diagonal(dim1=1, dim2=2).sum(-1) / math.sqrt(3)  # isometric: 1 + 5 numbers
            one = torch.eye(3, dtype=delta.dtype, device=delta.device)
            traceless = delta - (trace / math.sqrt(3))[:, None, None] * one
            return torch.cat(
                [trace[:, None] / (scales[0] * math.sqrt(3)), _five(traceless) / scales[1]], dim=-1
            )
        if name == "born_charges":
            parts = to_parts(delta.unsqueeze(-1), SPHERICAL).squeeze(-1).split([1, 3, 5], dim=-1)
            return torch.cat([p / s for p, s in zip(parts, scales, strict=True)], dim=-1)
        if name in self.targets.tensors and self.targets.tensors[name].irreps is not None:
            kinds = Irreps.parse(self.targets.tensors[name].irreps or "")
            widths = [n * irrep.dim for n, irrep in kinds]
            blocks = delta.split(widths, dim=-1)
            return torch.cat([b / s for b, s in zip(blocks, scales, strict=True)], dim=-1)
        return delta / scales[0]


def _present(label: Float[Tensor, "rows *components"]) -> Bool[Tensor, " rows"]:
    return ~torch.isnan(label).reshape(label.shape[0], -1).any(-1)


def _independent(name: str, label: Float[Tensor, "rows *components"]) -> int:
    """Independent numbers in one row: symmetric matrices have six."""
    return 6 if name in ("stress", "polarizability") else math.prod(label.shape[1:])


def _five(t: Float[Tensor, "rows 3 3"]) -> Float[Tensor, "rows 5"]:
    """The five orthonormal components of a symmetric traceless matrix."""
    xx, yy, zz = t[:, 0, 0], t[:, 1, 1], t[:, 2, 2]
    off = [t[:, i, j] * math.sqrt(2) for i, j in ((0, 1), (0, 2), (1, 2))]
    return torch.stack([*off, (xx - yy) / math.sqrt(2), (2 * zz - xx - yy) / math.sqrt(6)], dim=-1)
