"""MACE: many-body messages by symmetric products of a density, in few layers.

I. Batatia, D. P. Kovács, G. N. C. Simm, C. Ortner, G. Csányi, NeurIPS 2022 (arXiv:2206.07697).

    density       A_i = N̄^(−1) (Σ_j R(r_ij) [(h_j W)_l1 ⊗ Y_l2(r̂_ij)]_l3) W'                         Eq. 8
    product       B_i^LM = Σ_{m1…mν} U^LM_{η,m1…mν} A_{i,m1} ⋯ A_{i,mν},   ν = 1 … 3                 Eq. 10
    message       m_i^LM = Σ_ν Σ_η w^{ν,L}_{z_i,η} B_{i,η}^LM                                        Eq. 11
    update        h_i ← m_i W'' + h_i S^(z_i)                                                        Eq. 12
    read-out      e_i = Σ_t w_t · s_i^t over the layers but the last + MLP(s_i^T)                    Eq. 13

Everything but the product is shared with ICTP: `many_body.py`. Differs from the published code: the products are
evaluated by couplings of independent paths, to which the weights of all paths are handed; the function is the same.
"""

from collections.abc import Collection
from typing import Literal

from torch import nn

from equipot.models.many_body import ManyBodyConfig, ManyBodyNetwork
from equipot.nn.contraction import Evaluation, PathChoice, SymmetricContraction
from equipot.statistics import Statistics
from equipot.tensor.irreps import Irrep, Irreps


class MACEConfig(ManyBodyConfig):
    """Hyper-parameters of MACE."""

    name: Literal["mace"] = "mace"
    contraction: PathChoice = "ordered"  # weights for all sequences of couplings, or for what they span
    evaluation: Evaluation = "couplings"  # tensors: precomputed U, as published; the numbers are the same


class MACE(ManyBodyNetwork):
    """Features of every atom from all layers."""

    def __init__(self, config: MACEConfig, statistics: Statistics, outputs: Collection[Irrep]) -> None:
        num_elements = len(statistics.elements) if config.element_weights else None

        def product(irreps: Irreps, wanted: Collection[Irrep]) -> nn.Module:
            return SymmetricContraction(
                irreps,
                wanted,
                config.correlation,
                num_elements,
                config.tensor_basis,
                paths=config.contraction,
                evaluation=config.evaluation,
            )

        super().__init__(config, statistics, outputs, product)
