"""Adam in the eigenbasis of the gradients' covariance: against what its equations imply."""

import pytest
import torch
from torch import Tensor, nn

from equipot.train.soap import Soap


def descend(start: Tensor, gradient, steps: int = 25, **options) -> Tensor:
    """The parameter after some steps along given gradients."""
    parameter = nn.Parameter(start.clone())
    group = {"params": [parameter], **{k: options.pop(k) for k in ("rotated", "betas") if k in options}}
    optimizer = Soap([group], lr=1e-2, **options)
    for step in range(steps):
        parameter.grad = gradient(parameter.detach(), step)
        optimizer.step()
    return parameter.detach()


def noisy(shape: tuple[int, ...]):
    """The gradient of a badly conditioned quadratic, and noise that depends on the step alone."""
    generator = torch.Generator().manual_seed(3)
    noise = torch.randn(25, *shape, generator=generator, dtype=torch.float64)
    left, right = (torch.logspace(0, -2, n, dtype=torch.float64) for n in shape[-2:])
    return lambda x, step: left[:, None] * x * right + 0.1 * noise[step]


def orthogonal(n: int) -> Tensor:
    return torch.linalg.qr(torch.randn(n, n, dtype=torch.float64)).Q


def test_the_way_does_not_depend_on_the_axes():
    """Adam's does: in a turned basis it takes other steps, and this one does not."""
    torch.manual_seed(1)
    x, u, v, gradient = torch.randn(5, 5, dtype=torch.float64), orthogonal(5), orthogonal(5), noisy((5, 5))

    def turned(y: Tensor, step: int) -> Tensor:
        return u @ gradient(u.T @ y @ v, step) @ v.T

    there = descend(u @ x @ v.T, turned)
    torch.testing.assert_close(there, u @ descend(x, gradient) @ v.T, atol=1e-8, rtol=0)
    plain = descend(u @ x @ v.T, turned, rotated=False)
    assert (plain - u @ descend(x, gradient, rotated=False) @ v.T).abs().max() > 1e-3


def test_matrices_of_one_parameter_do_not_meet():
    torch.manual_seed(2)
    x, gradient = torch.randn(3, 2, 4, 5, dtype=torch.float64), noisy((3, 2, 4, 5))
    together = descend(x, lambda _, step: gradient(x, step))
    for i in range(3):
        for j in range(2):
            alone = descend(x[i, j], lambda _, step, i=i, j=j: gradient(x, step)[i, j])
            torch.testing.assert_close(together[i, j], alone, atol=1e-9, rtol=0)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_unrotated_is_adam(decay):
    torch.manual_seed(4)
    x, gradient = torch.randn(4, 5, dtype=torch.float64), noisy((4, 5))
    reference = nn.Parameter(x.clone())
    optimizer = torch.optim.AdamW([reference], lr=1e-2, betas=(0.9, 0.99), weight_decay=decay)
    for step in range(25):
        reference.grad = gradient(reference.detach(), step)
        optimizer.step()
    for options in ({"rotated": False}, {"longest": 3}):
        found = descend(x, gradient, betas=(0.9, 0.99), weight_decay=decay, **options)
        torch.testing.assert_close(found, reference.detach(), atol=1e-10, rtol=0)


def test_it_goes_on_where_it_was():
    """A state that was stored and loaded in the middle gives the same end, across a renewal of the basis."""
    torch.manual_seed(5)
    starts = [torch.randn(4, 5), torch.randn(2, 4, 5), torch.randn(7, 3), torch.randn(6)]
    noise = [[torch.randn_like(x) for x in starts] for _ in range(24)]

    def run(interrupted: bool) -> list[Tensor]:
        parameters = [nn.Parameter(x.clone()) for x in starts]

        def begin() -> Soap:
            return Soap([{"params": parameters[:3]}, {"params": parameters[3:], "rotated": False}], lr=1e-2)

        optimizer = begin()
        for step, gradients in enumerate(noise):
            if interrupted and step == 13:
                state, optimizer = optimizer.state_dict(), begin()
                optimizer.load_state_dict(state)
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = parameter.detach() + gradient
            optimizer.step()
        return [p.detach() for p in parameters]

    for a, b in zip(run(False), run(True), strict=True):
        torch.testing.assert_close(a, b, atol=0, rtol=0)
