"""SiLU whose second derivative is one pass."""

from functools import cache

from jaxtyping import Float
from torch import Tensor, nn

from equipot.kernels import Polynomial, Slot, Tape, compiles, evaluate, whole_vectors

FEW = 100_000  # numbers: so many take longer than starting what PyTorch does


class SiLU(nn.SiLU):
    """x σ(x), element by element.

    PyTorch puts its second derivative, which training on forces takes of every edge and hidden channel, together from a
    dozen operations; here it is compiled. Without it PyTorch's own function is as good.
    """

    def forward(self, x: Float[Tensor, "*batch channels"]) -> Float[Tensor, "*batch channels"]:
        """Of the same shape."""
        many = self.training and x.numel() >= FEW
        if many and compiles(x) and whole_vectors(x.shape[-1], x.dtype):
            return evaluate(_silu(), x.reshape(-1, 1, x.shape[-1]))[0].reshape(x.shape)
        return super().forward(x)


@cache
def _silu() -> Polynomial:
    tape = Tape()
    return Polynomial(tape, (Slot(1),), (Slot(1),), ((tape.silu(tape.input(0, 0)),),))
