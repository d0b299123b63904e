"""Energies of pairs, for models whose energy is a sum over them."""

import torch
from jaxtyping import Float
from torch import Tensor

from equipot.batch import AtomicBatch
from equipot.models.allegro import Allegro
from equipot.nn.readout import LinearReadout
from equipot.potential.potential import Potential


def pair_energies(potential: Potential, batch: AtomicBatch) -> Float[Tensor, " edges"]:
    """E_ij of every edge i ← j, eV: Σ_j E_ij is the energy of atom i that depends on its neighbors.

    What an atom has of itself (`Potential.constant_energies`, and σ times a trained shift) and the fixed terms are not
    in it. E_ij ≠ E_ji: the first is made of the neighborhood of i alone. Differentiable in the positions, which is
    what heat fluxes and domain decomposition ask for. ValueError for a model without pairs or without an energy, or one
    whose energy depends on the charge or the multiplicity, which belong to no pair.
    """
    if not isinstance(potential.model, Allegro):
        name = potential.config.model.name
        raise ValueError(
            f"the energy of {name!r} is no sum over pairs. Energies of pairs need model.name=allegro."
        )
    if "energy" not in potential.heads:
        raise ValueError(
            f"energies of pairs: this model predicts {', '.join(potential.targets)}, and no energy."
        )
    if potential.conditions is not None:
        names = " and ".join(potential.config.model.conditions)
        raise ValueError(
            f"the energy of this model depends on {names} of the whole system and is no sum over pairs. "
            "Train without model.conditions."
        )
    readout = potential.heads["energy"]
    assert isinstance(readout, LinearReadout)
    per_pair = readout.linear(potential.model.pair_features(batch).scalars)
    return potential.statistics.energy_scale * per_pair.to(torch.float64)
