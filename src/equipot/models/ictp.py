"""ICTP, irreducible Cartesian tensor potentials: MACE with symmetric traceless tensors in the place of harmonics.

V. Zaverkin, F. Alesiani, T. Maruyama, F. Errica, H. Christiansen, M. Takamoto, N. Weber, M. Niepert, NeurIPS 2024
(arXiv:2405.14253).

    density       A_i = N̄^(−1) (Σ_j R(r_ij) [(h_j W)_l1 ⊗ T_l2(r̂_ij)]_l3) W',   l1 + l2 − l3 even
    product       P_1 = A_i,   P_ν = P_{ν−1} ⊗ A_i,   ν = 2, 3, every even product up to l_max
    message       m_i = Σ_ν Σ_paths w_{z_i,path} P_ν
    update        h_i ← m_i W'' + h_i S^(z_i)
    read-out      e_i = Σ_t w_t · s_i^t over the layers but the last + MLP(s_i^T)

T_l: symmetric traceless tensor of a direction, with 3^l components; ⊗: irreducible Cartesian product. Variants of the
paper: `product: sym` keeps l1 ≥ l2 in A ⊗ A; `coupled` channels are mixed by every path; `latent_channels` makes the
products with fewer channels, which the linear maps W' and W'' before and after them lead to and from.

Everything but the product is shared with MACE: `many_body.py`. With isometric tensors, the default, the same weights
give the same numbers in the spherical basis; `basis: cartesian-published` has the normalisation of the paper.
"""

from collections.abc import Collection
from typing import Literal

from pydantic import PositiveInt
from torch import nn

from equipot.models.many_body import ManyBodyConfig, ManyBodyNetwork
from equipot.nn.iterated import IteratedProduct
from equipot.statistics import Statistics
from equipot.tensor.irreps import Irrep, Irreps


class ICTPConfig(ManyBodyConfig):
    """Hyper-parameters of ICTP."""

    name: Literal["ictp"] = "ictp"
    basis: Literal["spherical", "cartesian", "cartesian-published", "auto"] = "auto"  # auto: cartesian
    product: Literal["full", "sym"] = "sym"
    coupled: bool = False  # every path mixes the channels
    latent_channels: PositiveInt | None = None  # of the products; as many as of the features when not given

    @property
    def tensor_basis(self) -> str:
        """The name that `get_basis` understands."""
        return "cartesian" if self.basis == "auto" else self.basis


class ICTP(ManyBodyNetwork):
    """Features of every atom from all layers."""

    def __init__(self, config: ICTPConfig, statistics: Statistics, outputs: Collection[Irrep]) -> None:
        num_elements = len(statistics.elements) if config.element_weights else None

        def product(irreps: Irreps, wanted: Collection[Irrep]) -> nn.Module:
            return IteratedProduct(
                irreps,
                wanted,
                config.correlation,
                num_elements,
                config.tensor_basis,
                paths=config.product,
                coupled=config.coupled,
            )

        super().__init__(
            config,
            statistics,
            outputs,
            product,
            product_channels=config.latent_channels,
            shared_variance=True,
        )
