"""TensorNet against its equations in 3 × 3 matrices, edge by edge; sizes, bases and mirror images."""

import math

import pytest
import torch
import torch.nn.functional as F

from equipot import testing
from equipot.config import parse
from equipot.data.collate import batch_of
from equipot.models import build_model
from equipot.models.tensornet import TensorNetConfig
from equipot.potential import Potential, PotentialConfig
from equipot.statistics import Statistics
from equipot.tensor import tables
from equipot.tensor.features import in_spherical
from equipot.testing import crystal, molecule, random_potential
from models.edges import edges

ELEMENTS, CUTOFF = (1, 6, 8), 3.0
STATISTICS = Statistics(elements=ELEMENTS, mean_neighbors=1.0, reference_energies=(0.0,) * 3)
TINY = {"channels": 4, "num_layers": 2, "num_radial": 5, "cutoff": CUTOFF}
FRAMES = {"molecule": molecule(ELEMENTS), "crystal": crystal(ELEMENTS)}


def build(**options):
    """With biases of some size, so that none can be forgotten."""
    torch.manual_seed(1)
    model = build_model(TensorNetConfig(**{**TINY, **options}), STATISTICS).double()
    for name, parameter in model.named_parameters():
        if name.endswith("bias") or ".norm." in name or name.startswith("norm."):
            torch.nn.init.normal_(parameter, mean=0.5, std=0.3)
    return model


def cross(v):
    x, y, z = v
    return torch.stack([torch.stack(row) for row in ((0 * x, -z, y), (z, 0 * x, -x), (-y, x, 0 * x))])


def decomposed(x):
    """I, A and S of [3, 3, channels]."""
    trace = torch.einsum("aak,bc->bck", x, torch.eye(3, dtype=x.dtype)) / 3
    transposed = x.transpose(0, 1)
    return trace, (x - transposed) / 2, (x + transposed) / 2 - trace


def norm(x):
    return x.square().sum((0, 1))


def tensornet(weights, frame, group, num_layers=2):
    """Scalars and matrices [3, 3, channels] of every atom."""

    def linear(name, x, bias=True):
        return x @ weights[f"{name}.weight"].T + (weights[f"{name}.bias"] if bias else 0)

    def layer_norm(name, x):
        y = (x - x.mean()) / torch.sqrt(((x - x.mean()) ** 2).mean() + 1e-5)
        return y * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def mixed(name, x):
        return sum(linear(f"{name}.linear.{n}", part, bias=False) for n, part in enumerate(decomposed(x)))

    def radial(r):
        first, n = math.exp(-CUTOFF), torch.linspace(0, 1, 5, dtype=torch.float64)
        centers, beta = first + (1 - first) * n, (2 / 5 * (1 - first)) ** -2
        return torch.exp(-beta * (torch.exp(-5 * r / CUTOFF) - centers) ** 2)

    def weighted(f, parts):
        """φ (f_I I + f_A A + f_S S)."""
        return sum(f.split(f.shape[-1] // 3)[n] * part for n, part in enumerate(parts))

    def product(a, b):
        return torch.einsum("abk,bck->ack", a, b)

    one, zero = torch.eye(3, dtype=torch.float64), torch.tensor(0.0, dtype=torch.float64)
    pairs = [(i, j, v.norm(), v / v.norm()) for i, j, v in edges(frame, CUTOFF)]
    pairs += [(i, i, zero, torch.zeros(3, dtype=torch.float64)) for i in range(frame.num_atoms)]  # r̂ := 0
    phi = [0.5 * (1 + torch.cos(torch.pi * r / CUTOFF)) for _, _, r, _ in pairs]
    a = weights["embedding.atoms.table.weight"][torch.from_numpy(frame.numbers)]

    x = [torch.zeros(3, 3, a.shape[1], dtype=torch.float64) for _ in a]
    for (i, j, r, unit), cut in zip(pairs, phi, strict=True):
        z = linear("embedding.pairs", torch.cat([a[i], a[j]]))
        symmetric = torch.outer(unit, unit) - unit @ unit / 3 * one
        parts = [t[:, :, None] for t in (one, cross(unit), symmetric)]
        x[i] = x[i] + cut * z * weighted(linear("embedding.filters", radial(r)), parts)
    for i, own in enumerate(x):
        n = F.silu(linear("embedding.scalars.0", layer_norm("embedding.norm", norm(own))))
        n = F.silu(linear("embedding.scalars.2", n))
        parts = [
            linear(f"embedding.mix.linear.{k}", part, bias=False) for k, part in enumerate(decomposed(own))
        ]
        x[i] = weighted(n, parts)

    for t in range(num_layers):
        name = f"interactions.{t}"
        x = [own / (norm(own) + 1) for own in x]
        y = [mixed(f"{name}.before", own) for own in x]
        m = [torch.zeros_like(own) for own in x]
        for (i, j, r, _), cut in zip(pairs, phi, strict=True):
            f = radial(r)
            for k in (0, 2, 4):
                f = F.silu(linear(f"{name}.filters.{k}", f))
            m[i] = m[i] + cut * weighted(f, decomposed(y[j]))
        for i, own in enumerate(x):
            back = product(y[i], m[i]) if group == "SO(3)" else product(m[i], y[i])
            c = product(y[i], m[i]) + back
            dx = mixed(f"{name}.after", c / (norm(c) + 1))
            x[i] = own + dx + product(dx, dx)

    squares = [torch.cat([norm(part) for part in decomposed(own)]) for own in x]
    return [F.silu(linear("invariants.0", layer_norm("norm", s))) for s in squares], x


@torch.no_grad()
@pytest.mark.parametrize("group", ["O(3)", "SO(3)"])
@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_the_equations(frame, group):
    """To 1e-10 of the largest component: two orders of the same sums, 1e-16 times a few hundred terms."""
    model = build(group=group)
    scalars, matrices = tensornet(model.state_dict(), frame, group)
    found = model(batch_of([frame], ELEMENTS, CUTOFF))
    torch.testing.assert_close(found.scalars, torch.stack(scalars), rtol=0, atol=1e-10)
    isometry = torch.from_numpy(tables.isometry(2).copy())
    for i, x in enumerate(matrices):
        _, a, s = decomposed(x)
        tensor = (isometry @ found["2e"][i]).unflatten(0, (3, 3))
        torch.testing.assert_close(cross(found["1o"][i]) / math.sqrt(2), a, rtol=0, atol=1e-11)
        torch.testing.assert_close(tensor, s, rtol=0, atol=1e-11)
        assert min(a.abs().max(), s.abs().max()) > 1e-3


@pytest.mark.parametrize(("num_layers", "expected"), [(1, 535_681), (2, 769_921)])
def test_the_published_numbers_of_parameters(num_layers, expected):
    """Table 2 of the paper, 535k and 770k: 128 features, 32 radial functions, the energy read-out included."""
    values = {"model": {"name": "tensornet", "num_layers": num_layers}}
    potential = Potential(parse(PotentialConfig, values, "test"), STATISTICS)
    assert sum(p.numel() for p in potential.parameters()) == expected
    more = {"model": {**values["model"], "trainable_radial": True}}
    trainable = Potential(parse(PotentialConfig, more, "test"), STATISTICS)
    assert sum(p.numel() for p in trainable.parameters()) == expected + 2 * 32


@torch.no_grad()
@pytest.mark.parametrize("group", ["O(3)", "SO(3)"])
def test_both_bases_are_the_same_function(group):
    spherical, cartesian = (build(group=group, basis=name) for name in ("spherical", "cartesian"))
    cartesian.load_state_dict(spherical.state_dict())
    batch = batch_of(list(FRAMES.values()), ELEMENTS, CUTOFF)
    expected, stored = spherical(batch), cartesian(batch)
    assert stored["2e"].shape[1] == 9
    for a, b in zip(in_spherical(stored, cartesian.basis).blocks, expected.blocks, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def potential(group):
    values = {
        "model": {"name": "tensornet", **TINY, "group": group},
        "targets": {"dipole": {"form": "atomic"}},
    }
    return random_potential(parse(PotentialConfig, values, "test"), ELEMENTS)


@pytest.mark.parametrize("group", ["O(3)", "SO(3)"])
def test_both_groups_turn_and_only_one_mirrors(group):
    """The product in one order tells a molecule from its mirror image, in energy."""
    model = potential(group)
    turned = testing.rotation(model, FRAMES["molecule"])
    mirrored = testing.reflection(model, FRAMES["molecule"])
    assert testing.worst(turned) < 1e-10, turned
    assert (testing.worst(mirrored) < 1e-10) == (group == "O(3)")
    assert group == "O(3)" or mirrored["energy"] > 1e-7


def test_an_atom_alone_has_a_trace_and_no_tensors():
    """Its sum over neighbors is itself, with r̂ = 0: finite, and without direction."""
    found = build()(batch_of([testing.one_atom(6)], ELEMENTS, CUTOFF))
    assert found.scalars.abs().max() > 1e-3
    assert not found["1o"].any() and not found["2e"].any()
