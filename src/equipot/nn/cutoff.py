"""Envelopes that bring everything to zero at the cutoff."""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

EnvelopeName = Literal["cosine", "polynomial"]


def cosine_cutoff(distance: Float[Tensor, " edges"], cutoff: float) -> Float[Tensor, " edges"]:
    """½(1 + cos(πr/r_c)) inside, zero beyond: value and slope vanish at r_c, the curvature does not.

    Behler, J. Chem. Phys. 134, 074106 (2011).
    """
    inside = 0.5 * (1 + torch.cos(distance * (math.pi / cutoff)))
    return inside * (distance < cutoff)


def polynomial_cutoff(
    distance: Float[Tensor, " edges"], cutoff: float, p: int = 6
) -> Float[Tensor, " edges"]:
    """One at r = 0, zero with two zero derivatives at r_c and beyond.

    Gasteiger, Groß, Günnemann, ICLR 2020, Eq. 8.
    """
    x = distance / cutoff
    inside = 1 + x**p * (-(p + 1) * (p + 2) / 2 + x * (p * (p + 2) - x * (p * (p + 1) / 2)))
    return inside * (distance < cutoff)


def envelope(name: EnvelopeName, distance: Float[Tensor, " edges"], cutoff: float) -> Float[Tensor, " edges"]:
    """The cutoff function of that name."""
    return {"cosine": cosine_cutoff, "polynomial": polynomial_cutoff}[name](distance, cutoff)
