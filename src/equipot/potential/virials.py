"""Virials of single atoms: how the stress of a system is made up, and what carries its heat."""

from jaxtyping import Float
from torch import Tensor

from equipot.batch import AtomicBatch


def atomic_virials(
    gradient: Float[Tensor, "edges 3"], vectors: Float[Tensor, "edges 3"], batch: AtomicBatch
) -> Float[Tensor, "atoms 3 3"]:
    """W_j = −Σ_i r_ij ⊗ ∂E/∂r_ij, the edges i ← j on which atom j is the neighbor, eV.

    Σ_j W_j = −V · stress, for every model: energies depend on positions and cell through the edge vectors alone, and
    a strain ε changes these by r_ij·ε. The sum is symmetric, since rotations leave the energy alone; the parts are not
    in general.

    Whose virial an edge is, no physics of the sum decides. Here it is the neighbor's, all of it, so that the potential
    part of the heat flux of a strictly local model, E_i = E_i({r_ij}), comes out exactly (Fan et al., Phys. Rev. B 92,
    094301 (2015)):

        J = Σ_i r_i dE_i/dt + …  =  −Σ_ij r_ij (∂E_i/∂r_ij · v_j)  =  Σ_j W_j v_j

    A message-passing model passes energy over several edges at once. Then W_j is still an exact decomposition of the
    stress, but Σ_j W_j v_j is not its heat flux, which takes derivatives of every E_i by itself: Langer, Frank, Knoop,
    Phys. Rev. B 108, L100302 (2023).
    """
    products = -vectors[:, :, None] * gradient[:, None, :]
    return products.new_zeros(batch.num_atoms, 3, 3).index_add(0, batch.senders, products)
