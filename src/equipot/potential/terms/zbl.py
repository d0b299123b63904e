"""Repulsion of nuclei that come too close: universal and without a parameter.

J. F. Ziegler, J. P. Biersack, U. Littmark, The Stopping and Range of Ions in Solids, Pergamon 1985.

    V(r) = k_e Z_i Z_j / r · φ(r/a) · u(r/R)
    φ(x) = 0.18175 e^(−3.1998 x) + 0.50986 e^(−0.94229 x) + 0.28022 e^(−0.4029 x) + 0.02817 e^(−0.20162 x)
    a    = 0.8854 a₀ / (Z_i^0.23 + Z_j^0.23)
    R    = min(sum of the covalent radii, cutoff of the model)

k_e = e²/4πε₀; u is the polynomial envelope, whose value, slope and curvature vanish at R. Networks that have not
seen two atoms on top of each other may let them merge; this never does. Single bonds at their lengths are beyond R,
double and triple ones are not: the model learns to take off what they feel of it.
"""

from collections.abc import Sequence

import torch
from ase.data import chemical_symbols, covalent_radii
from jaxtyping import Float
from torch import Tensor, nn

from equipot.batch import AtomicBatch
from equipot.nn.cutoff import polynomial_cutoff
from equipot.potential.per_element import PerElement
from equipot.units import bohr, coulomb

SCREENING = ((0.18175, 3.19980), (0.50986, 0.94229), (0.28022, 0.40290), (0.02817, 0.20162))
LENGTH, EXPONENT = 0.8854 * bohr, 0.23
LARGEST = 96  # curium: the last element with a measured covalent radius (Cordero et al. 2008)


class ZBL(nn.Module):
    """Half of V(r_ij) of every neighbor, so that each pair counts once. float64."""

    def __init__(self, elements: Sequence[int], cutoff: float) -> None:
        super().__init__()
        if max(elements) > LARGEST:
            raise ValueError(
                f"terms.zbl: no covalent radius is known for {chemical_symbols[max(elements)]} ({max(elements)}),"
                " where the repulsion would have to end. Set terms.zbl=false."
            )
        radii = [float(covalent_radii[z]) for z in elements]
        self.cutoff, self.reach = cutoff, min(2 * max(radii), cutoff)
        self.charges, self.radii = PerElement([float(z) for z in elements]), PerElement(radii)

    def forward(self, batch: AtomicBatch) -> Float[Tensor, " atoms"]:
        """Energy of every atom, eV."""
        i, j = batch.species[batch.receivers], batch.species_of_senders()
        r = batch.vectors().norm(dim=-1)
        end = (self.radii(i) + self.radii(j)).clamp(max=self.cutoff)
        pair = screened_coulomb(r, self.charges(i), self.charges(j)) * polynomial_cutoff(r / end, 1.0)
        return pair.new_zeros(batch.num_atoms).index_add(0, batch.receivers, 0.5 * pair)


def screened_coulomb(
    r: Float[Tensor, " edges"], z_i: Float[Tensor, " edges"], z_j: Float[Tensor, " edges"]
) -> Float[Tensor, " edges"]:
    """V(r) without its envelope, eV."""
    x = r * (z_i**EXPONENT + z_j**EXPONENT) / LENGTH
    screening = torch.stack([c * torch.exp(-d * x) for c, d in SCREENING]).sum(0)
    return coulomb * z_i * z_j / r * screening
