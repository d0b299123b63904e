"""SchNet and PaiNN against their equations, written down edge by edge and with nothing of the package."""

import math

import torch
import torch.nn.functional as F

from equipot.data.collate import batch_of
from equipot.models import PaiNNConfig, SchNetConfig, build_model
from equipot.statistics import Statistics
from equipot.testing import crystal, molecule
from models.edges import edges

ELEMENTS, CUTOFF, RADIAL = (1, 6, 8), 3.0, 6
STATISTICS = Statistics(elements=ELEMENTS, mean_neighbors=1.0, reference_energies=(0.0,) * 3)
# Two orders of the same sums: 1e-16 times a few hundred terms.
TOLERANCE = {"rtol": 1e-11, "atol": 1e-11}


def cosine(r):
    return 0.5 * (torch.cos(torch.pi * r / CUTOFF) + 1)


def layer(weights, name, x, bias=True):
    return x @ weights[f"{name}.weight"].T + (weights[f"{name}.bias"] if bias else 0)


def schnet(weights, frame, num_layers):
    """x_i += U₂ ssp(U₁ Σ_j A x_j ∘ W(r_ij))."""

    def ssp(x):
        return torch.log(0.5 * torch.exp(x) + 0.5)

    x = weights["embedding.table.weight"][torch.from_numpy(frame.numbers)]
    for t in range(num_layers):
        name, change = f"interactions.{t}", torch.zeros_like(x)
        for i, j, vector in edges(frame, CUTOFF):
            r = vector.norm()
            centers = torch.linspace(0, CUTOFF, RADIAL, dtype=torch.float64)
            g = torch.exp(-((r - centers) ** 2) / (2 * (CUTOFF / (RADIAL - 1)) ** 2))
            w = layer(weights, f"{name}.filter.2", ssp(layer(weights, f"{name}.filter.0", g))) * cosine(r)
            change[i] += layer(weights, f"{name}.before", x[j], bias=False) * w
        x = x + layer(weights, f"{name}.after.2", ssp(layer(weights, f"{name}.after.0", change)))
    return x


def painn(weights, frame, num_layers):
    """Eqs. 7-9 of the paper; v[i] is [3, channels]."""
    s = weights["embedding.table.weight"][torch.from_numpy(frame.numbers)]
    channels = s.shape[1]
    v = torch.zeros(len(s), 3, channels, dtype=torch.float64)
    for t in range(num_layers):
        phi = layer(weights, f"messages.{t}.phi.2", F.silu(layer(weights, f"messages.{t}.phi.0", s)))
        ds, dv = torch.zeros_like(s), torch.zeros_like(v)
        for i, j, vector in edges(frame, CUTOFF):
            r = vector.norm()
            n = torch.arange(1, RADIAL + 1, dtype=torch.float64)
            g = math.sqrt(2 / CUTOFF) * torch.sin(n * torch.pi * r / CUTOFF) / r
            w = layer(weights, f"messages.{t}.filter", g) * cosine(r)
            a, b, c = (phi[j] * w).split(channels)
            ds[i] += a
            dv[i] += b * (vector / r)[:, None] + c * v[j]
        s, v = s + ds, v + dv
        mixed = torch.einsum("idc,kc->idk", v, weights[f"updates.{t}.mix.weight"])
        u, w = mixed[..., :channels], mixed[..., channels:]
        inputs = torch.cat([s, (w.square().sum(1) + 1e-8).sqrt()], dim=1)
        out = layer(weights, f"updates.{t}.attend.2", F.silu(layer(weights, f"updates.{t}.attend.0", inputs)))
        a_ss, a_vv, a_sv = out.split(channels, dim=1)
        s, v = s + a_ss + a_sv * (u * w).sum(1), v + a_vv[:, None] * u
    return s, v


def model(config):
    """Random biases too, so that none can be forgotten."""
    built = build_model(config, STATISTICS).double()
    for name, parameter in built.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.3)
    return built, dict(built.named_parameters())


def frames():
    return molecule(ELEMENTS), crystal(ELEMENTS)


@torch.no_grad()
def test_schnet():
    built, weights = model(SchNetConfig(channels=5, num_layers=2, num_radial=RADIAL, cutoff=CUTOFF))
    for frame in frames():
        found = built(batch_of([frame], ELEMENTS, CUTOFF))
        torch.testing.assert_close(found.scalars, schnet(weights, frame, 2), **TOLERANCE)


@torch.no_grad()
def test_painn():
    built, weights = model(PaiNNConfig(channels=5, num_layers=2, num_radial=RADIAL, cutoff=CUTOFF))
    for frame in frames():
        found = built(batch_of([frame], ELEMENTS, CUTOFF))
        s, v = painn(weights, frame, 2)
        torch.testing.assert_close(found.scalars, s, **TOLERANCE)
        torch.testing.assert_close(found["1o"], v, **TOLERANCE)
        assert v.abs().max() > 0.1
