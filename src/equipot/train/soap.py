"""Adam in the eigenbasis of the gradients' covariance."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor

Matrices = Float[Tensor, "matrices m n"]
Square = Float[Tensor, "matrices m m"]


class Soap(torch.optim.Optimizer):
    """Shampoo with Adam in the preconditioner's eigenbasis. Vyas et al., arXiv:2409.11321, Algorithm 3.

    The covariances L = ⟨G Gᵀ⟩ and R = ⟨Gᵀ G⟩ of each matrix are running means; every `refresh` steps their eigenvectors
    are renewed by one power iteration. A parameter with more than two dimensions is many matrices, each on its own: the
    irreps, paths and species of an equivariant layer are never mixed. A side longer than `longest` is not rotated, and
    groups with `rotated=False` are plain Adam. Weight decay is decoupled.
    """

    def __init__(
        self,
        params: Iterable[dict[str, Any]],
        lr: float,
        betas: tuple[float, float] = (0.95, 0.95),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        refresh: int = 10,
        longest: int = 256,
    ) -> None:
        options = {"betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(
            params, {"lr": lr, **options, "refresh": refresh, "longest": longest, "rotated": True}
        )
        self._bundles: list[list[Bundle]] | None = None

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One update of all parameters; one without a gradient counts as having none to follow."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        if self._bundles is None:
            self._bundles = [list(self._bundled(group)) for group in self.param_groups]
        for group, bundles in zip(self.param_groups, self._bundles, strict=True):
            for bundle in bundles:
                bundle.step(group)
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a state; it is bundled anew at the next step."""
        super().load_state_dict(state_dict)
        self._bundles = None

    def _bundled(self, group: dict[str, Any]) -> Iterator["Bundle"]:
        """Parameters of one shape together, so that a step is a few products of stacks."""
        alike: dict[tuple[int, ...], list[Tensor]] = {}
        for parameter in (p for p in group["params"] if p.numel()):
            shape = tuple(parameter.shape[-2:]) if group["rotated"] else (1, 1)
            alike.setdefault(shape, []).append(parameter)
        for shape, parameters in alike.items():
            yield Bundle(parameters, shape, group["longest"] if group["rotated"] else 0, self.state)


class Bundle:
    """Parameters as one stack of matrices, with their running means; a parameter's state is a part of the stack."""

    def __init__(
        self, parameters: list[Tensor], shape: tuple[int, ...], longest: int, state: dict[Any, Any]
    ) -> None:
        self.parameters, (m, n) = parameters, shape
        self.shape = shape
        self.counts = [p.numel() // (m * n) for p in parameters]
        like = parameters[0]
        number = sum(self.counts)
        sides = {name: size for name, size in (("left", m), ("right", n)) if 1 < size <= longest}
        shapes = {"momentum": shape, "second": shape}
        for name, size in sides.items():
            shapes |= {name: (size, size), f"{name}_basis": (size, size)}
        self.sides = tuple(sides)
        self.tensors: dict[str, Tensor] = {}
        self.count = int(state[like]["step"]) if like in state else 0
        for name, (rows, columns) in shapes.items():
            if self.count:
                stack = torch.cat([state[p][name].reshape(-1, rows, columns) for p in parameters])
            else:
                stack = like.new_zeros(number, rows, columns)
            self.tensors[name] = stack
            for parameter, part in zip(parameters, stack.split(self.counts), strict=True):
                state[parameter][name] = part
        self.state = state

    def step(self, group: dict[str, Any]) -> None:
        """Algorithm 3, with the momentum kept in the eigenbasis."""
        self.count += 1
        for parameter in self.parameters:
            self.state[parameter]["step"] = torch.tensor(float(self.count))
        first, second = group["betas"]
        gradient = torch.cat([self._matrices(p.grad, p) for p in self.parameters])
        if "left" in self.sides:
            self.tensors["left"].lerp_(gradient @ gradient.mT, 1 - second)
        if "right" in self.sides:
            self.tensors["right"].lerp_(gradient.mT @ gradient, 1 - second)
        if self.sides and (self.count == 1 or self.count % group["refresh"] == 0):
            self._renew()
        rotated = self._into(gradient)
        m, v = self.tensors["momentum"], self.tensors["second"]
        m.lerp_(rotated, 1 - first)
        v.mul_(second).addcmul_(rotated, rotated, value=1 - second)
        scale = (v / (1 - second**self.count)).sqrt_().add_(group["eps"])
        change = self._out_of(m / scale) * (-group["lr"] / (1 - first**self.count))
        for parameter, part in zip(self.parameters, change.split(self.counts), strict=True):
            if group["weight_decay"]:
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.add_(part.view_as(parameter))

    def _matrices(self, gradient: Tensor | None, parameter: Tensor) -> Matrices:
        found = torch.zeros_like(parameter) if gradient is None else gradient
        return found.reshape(-1, *self.shape)

    def _renew(self) -> None:
        """Q ← the orthogonal factor of C Q, columns by falling eigenvalue; at first the eigenvectors themselves."""
        momentum = self._out_of(self.tensors["momentum"])
        for name, axis in (("left", 1), ("right", 2)):
            if name not in self.sides:
                continue
            covariance, basis = self.tensors[name], self.tensors[f"{name}_basis"]
            if self.count == 1:
                renewed = torch.linalg.eigh(covariance).eigenvectors.flip(-1)
            else:
                spread = covariance @ basis
                order = (basis * spread).sum(dim=1).argsort(dim=-1, descending=True)
                rows, v = order[:, None, :], self.tensors["second"]
                renewed = torch.linalg.qr(spread.gather(2, rows.expand_as(spread))).Q
                v.copy_(v.gather(axis, (order[:, :, None] if axis == 1 else rows).expand_as(v)))
            if (
                dist.is_initialized()
            ):  # equal covariances, but maybe another processor and another basis of a tie
                renewed = renewed.contiguous()
                dist.broadcast(renewed, 0)
            basis.copy_(renewed)
        self.tensors["momentum"].copy_(self._into(momentum))

    def _into(self, x: Matrices) -> Matrices:
        """QLᵀ X QR."""
        if "left" in self.sides:
            x = self.tensors["left_basis"].mT @ x
        return x @ self.tensors["right_basis"] if "right" in self.sides else x

    def _out_of(self, x: Matrices) -> Matrices:
        """QL X QRᵀ."""
        if "left" in self.sides:
            x = self.tensors["left_basis"] @ x
        return x @ self.tensors["right_basis"].mT if "right" in self.sides else x
