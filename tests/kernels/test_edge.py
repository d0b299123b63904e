"""The edge operation against the formula, in all bases, to second derivatives, and at its borders."""

from dataclasses import replace
from math import sqrt

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.utils._python_dispatch import TorchDispatchMode

from equipot.batch import AtomicBatch
from equipot.kernels import EdgeProduct, Path, edge_product
from equipot.tensor import tables
from equipot.tensor.basis import get_basis
from equipot.tensor.irreps import Irrep, products
from tensor.cartesian import random_orthogonal

pytestmark = pytest.mark.usefixtures("float64")
SCALAR, VECTOR = Irrep(0, 1), Irrep(1, -1)
CHANNELS = 4
BASES = ["spherical", "cartesian", "cartesian-published"]
PAINN = EdgeProduct(
    inputs=(SCALAR, SCALAR, VECTOR),
    edge=(SCALAR, VECTOR),
    outputs=(SCALAR, VECTOR),
    paths=(Path(0, 0, 0), Path(1, 1, 1, scale=1 / sqrt(3)), Path(2, 0, 1)),
)


def everything(basis="spherical", l_max=2):
    """All couplings of both parities up to l_max, every one with its own scale."""
    both = [Irrep(l, p) for l in range(l_max + 1) for p in (1, -1)]
    edge = [Irrep.natural(l) for l in range(l_max + 1)]
    paths = [
        Path(i, e, o, scale=0.3 + 0.1 * i + 0.2 * e)
        for i, a in enumerate(both)
        for e, y in enumerate(edge)
        for o, c in enumerate(both)
        if c in products(a, y)
    ]
    return EdgeProduct(tuple(both), tuple(edge), tuple(both), tuple(paths), basis)


def graph(pairs, num_atoms):
    """Edges (receiver, sender) between atoms of one molecule."""
    pairs = sorted(pairs)
    receivers, senders = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).T
    counts = torch.bincount(receivers, minlength=num_atoms)
    return AtomicBatch(
        positions=torch.randn(num_atoms, 3),
        species=torch.zeros(num_atoms, dtype=torch.long),
        system=torch.zeros(num_atoms, dtype=torch.long),
        cell=torch.zeros(1, 3, 3),
        pbc=torch.zeros(1, 3, dtype=torch.bool),
        senders=senders,
        receivers=receivers,
        shifts=torch.zeros(len(pairs), 3, dtype=torch.long),
        row_pointer=torch.cat([counts.new_zeros(1), counts.cumsum(0)]),
        reverse=torch.tensor([pairs.index((j, i)) for i, j in pairs], dtype=torch.long),
    )


def chain():
    """Three atoms in a row, each bound to the next, and an isolated fourth one."""
    return graph([(0, 1), (1, 0), (1, 2), (2, 1)], num_atoms=4)


def arguments(spec, batch):
    """Random features, the harmonics of random directions, random weights."""
    basis = get_basis(spec.basis)
    x = [basis.to_spherical(i.l) @ torch.randn(batch.num_atoms, i.dim, CHANNELS) for i in spec.inputs]
    harmonics = basis.packed_harmonics(torch.randn(len(batch.senders), 3), [i.l for i in spec.edge])
    return torch.cat(x, dim=1), harmonics, torch.randn(len(batch.senders), len(spec.paths), CHANNELS)


def formula(spec, x, harmonics, weights, batch):
    """The definition, one dense coupling tensor per path and one addition per edge."""
    basis = get_basis(spec.basis)
    xs = x.split([basis.dim(i.l) for i in spec.inputs], dim=1)
    ys = harmonics.split([basis.dim(i.l) for i in spec.edge], dim=1)
    out = [x.new_zeros(batch.num_atoms, basis.dim(i.l), x.shape[-1]) for i in spec.outputs]
    for number, path in enumerate(spec.paths):
        degrees = spec.inputs[path.input].l, spec.edge[path.edge].l, spec.outputs[path.output].l
        dense = path.scale * basis.coupling(*degrees)
        for e, (i, j) in enumerate(zip(batch.receivers.tolist(), batch.senders.tolist(), strict=True)):
            coupled = torch.einsum("kab,ac,b->kc", dense, xs[path.input][j], ys[path.edge][e])
            out[path.output][i] += weights[e, number] * coupled
    return torch.cat(out, dim=1)


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("kind", ["painn", "everything"])
def test_against_the_formula(basis, kind):
    spec = replace(PAINN, basis=basis) if kind == "painn" else everything(basis)
    batch = chain()
    args = arguments(spec, batch)
    torch.testing.assert_close(
        edge_product(spec, *args, batch), formula(spec, *args, batch), rtol=0, atol=1e-12
    )


def test_high_degrees_against_the_formula():
    spec = EdgeProduct(
        (Irrep(4, 1), Irrep(3, -1)), (Irrep(3, -1), Irrep(4, 1)), (Irrep(4, -1), Irrep(1, -1)),
        (Path(0, 0, 0), Path(1, 1, 1), Path(0, 0, 1)),
    )  # fmt: skip
    batch = chain()
    args = arguments(spec, batch)
    torch.testing.assert_close(
        edge_product(spec, *args, batch), formula(spec, *args, batch), rtol=0, atol=1e-12
    )


def test_same_weights_give_the_same_numbers_in_both_bases():
    spherical, cartesian, batch = everything(), everything("cartesian"), chain()
    x, harmonics, weights = arguments(spherical, batch)

    def stored(t, irreps, dim):
        parts = zip(t.split([i.dim for i in irreps], dim), irreps, strict=True)
        q = get_basis("cartesian").to_spherical
        return torch.cat(
            [torch.tensordot(part, q(i.l), ([dim], [1])).movedim(-1, dim) for part, i in parts], dim
        )

    expected = stored(edge_product(spherical, x, harmonics, weights, batch), spherical.outputs, 1)
    found = edge_product(
        cartesian, stored(x, cartesian.inputs, 1), stored(harmonics, cartesian.edge, 1), weights, batch
    )
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_scalar_paths_are_plain_products():
    batch = chain()
    (x, harmonics, weights), i, j = arguments(PAINN, batch), batch.receivers, batch.senders
    out = edge_product(PAINN, x, harmonics, weights, batch)
    unit = harmonics[:, 1:, None] / sqrt(3)
    s = weights[:, :1] * x[j, :1]
    v = weights[:, 1:2] * x[j, 1:2] * unit + weights[:, 2:] * x[j, 2:]
    expected = torch.zeros_like(out).index_add(0, i, torch.cat([s, v], dim=1))
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-13)


def test_without_features_they_count_as_ones():
    degrees = (SCALAR, VECTOR, Irrep(2, 1))
    paths = tuple(Path(0, l, l, scale=0.5 + l) for l in range(3))
    spec, batch = EdgeProduct((SCALAR,), degrees, degrees, paths), chain()
    _, harmonics, weights = arguments(spec, batch)
    expected = edge_product(spec, torch.ones(4, 1, CHANNELS), harmonics, weights, batch)
    torch.testing.assert_close(edge_product(spec, None, harmonics, weights, batch), expected)
    with pytest.raises(ValueError, match="x=None stands for ones"):
        edge_product(PAINN, None, *arguments(PAINN, batch)[1:], batch)


@pytest.mark.parametrize("kind", ["painn", "everything"])
def test_first_and_second_derivatives(kind):
    spec = PAINN if kind == "painn" else everything(l_max=1)
    batch = graph([(0, 1), (1, 0)], num_atoms=3)
    x, harmonics, weights = (t[..., :2].clone() for t in arguments(spec, batch))
    harmonics = get_basis(spec.basis).packed_harmonics(torch.randn(2, 3), [i.l for i in spec.edge])
    constant, varied = harmonics[:, :1], harmonics[:, 1:].clone()  # Y_0 = 1 is not read

    def operation(x, y, w):
        return edge_product(spec, x, torch.cat([constant, y], dim=1), w, batch)

    inputs = tuple(t.requires_grad_() for t in (x, varied, weights))
    assert gradcheck(operation, inputs)
    assert gradgradcheck(operation, inputs)


@pytest.mark.parametrize("kind", ["painn", "everything"])
def test_forces_can_be_trained_through_a_zero_vector(kind):
    spec, batch = PAINN if kind == "painn" else everything(), chain()
    x, _, weights = arguments(spec, batch)
    vectors = torch.zeros(4, 3, requires_grad=True)
    harmonics = get_basis(spec.basis).packed_harmonics(vectors, [i.l for i in spec.edge])
    x.requires_grad_(), weights.requires_grad_()
    energy = edge_product(spec, x, harmonics, weights, batch).square().sum()
    (force,) = torch.autograd.grad(energy, vectors, create_graph=True)
    for gradient in torch.autograd.grad(force.square().sum() + energy, (x, weights, vectors)):
        assert gradient.isfinite().all()


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("num_atoms", [0, 1, 3])
def test_no_edges(basis, num_atoms):
    spec, batch = everything(basis), graph([], num_atoms)
    x, harmonics, weights = (t.requires_grad_() for t in arguments(spec, batch))
    out = edge_product(spec, x, harmonics, weights, batch)
    assert out.shape == (num_atoms, sum(get_basis(basis).dim(i.l) for i in spec.outputs), CHANNELS)
    assert (out == 0).all()
    (first,) = torch.autograd.grad(out.square().sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum() + first.square().sum(), weights, allow_unused=True)
    assert (first == 0).all() and (second is None or second.numel() == 0)


def test_an_isolated_atom_receives_nothing():
    spec, batch = everything(), chain()
    out = edge_product(spec, *arguments(spec, batch), batch)
    assert (out[3] == 0).all() and (out[:3] != 0).any(dim=2).all()


def test_one_atom_with_itself_under_periodicity():
    spec, batch = everything(), graph([(0, 0)], num_atoms=1)
    args = arguments(spec, batch)
    torch.testing.assert_close(edge_product(spec, *args, batch), formula(spec, *args, batch))


def test_an_output_that_no_path_feeds_is_zero():
    spec, batch = EdgeProduct((SCALAR,), (SCALAR,), (VECTOR, SCALAR), (Path(0, 0, 1),)), chain()
    out = edge_product(spec, *arguments(spec, batch), batch)
    assert (out[:, :3] == 0).all() and (out[0, 3] != 0).all()


def test_strides_do_not_matter():
    spec, batch = everything(), chain()
    args = arguments(spec, batch)
    expected = edge_product(spec, *args, batch)
    transposed = tuple(t.transpose(0, -1).contiguous().transpose(0, -1) for t in args)
    spread = tuple(torch.stack([t, t.neg()], dim=-1)[..., 0] for t in args)
    for strided in (transposed, spread):
        assert not any(t.is_contiguous() for t in strided)
        torch.testing.assert_close(edge_product(spec, *strided, batch), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("det", [1, -1])
@pytest.mark.parametrize("basis", BASES)
def test_rotation_and_reflection(rng, basis, det):
    """Turn positions and features: the output turns. Directions enter only through their harmonics."""
    spec, batch, stored = everything(basis), chain(), get_basis(basis)
    q = torch.from_numpy(random_orthogonal(rng, det))
    degrees = [i.l for i in spec.edge]
    x, _, weights = arguments(spec, batch)
    vectors = torch.randn(4, 3)

    def turned(t, irreps):
        parts = zip(t.split([stored.dim(i.l) for i in irreps], dim=1), irreps, strict=True)
        return torch.cat([representation(i, q, stored) @ part for part, i in parts], dim=1)

    out = edge_product(spec, x, stored.packed_harmonics(vectors, degrees), weights, batch)
    rotated = stored.packed_harmonics(vectors @ q.T, degrees)
    found = edge_product(spec, turned(x, spec.inputs), rotated, weights, batch)
    torch.testing.assert_close(found, turned(out, spec.outputs), rtol=0, atol=1e-12)


def representation(irrep, q, basis):
    """How stored components answer to r → q r: R ⊗ ... ⊗ R, times det R for the unnatural parity."""
    power = torch.ones(1, 1)
    for _ in range(irrep.l):
        power = torch.kron(power, q)
    isometry = get_basis("cartesian").to_spherical(irrep.l)
    turned = power if basis.dim(irrep.l) == 3**irrep.l else isometry.T @ power @ isometry
    return turned if irrep.parity == (-1) ** irrep.l else torch.linalg.det(q) * turned


class Calls(TorchDispatchMode):
    """Tensor operations that touch memory, and the numbers that they write."""

    def __init__(self):
        super().__init__()
        self.count = self.written = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if not func.is_view:
            self.count += 1
            self.written += out.numel()
        return out


def test_painn_message_is_cheap():
    """Its cost where speed is decided: calls for a molecule, memory for a liquid; no copy of W, no coupling."""
    batch = chain()
    args = arguments(PAINN, batch)
    with Calls() as calls:
        edge_product(PAINN, *args, batch)
    assert calls.count <= 14
    # gathered 5, W x of three paths 1 + 1 + 3, times the direction 3, sum 3, per edge and channel
    edges, atoms = len(batch.senders), batch.num_atoms
    assert calls.written <= edges * (16 * CHANNELS + 3) + 4 * atoms * 4 * CHANNELS


def test_single_precision_stays_single():
    spec, batch = everything(), chain()
    args = arguments(spec, batch)
    out = edge_product(spec, *(t.float() for t in args), batch)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out.double(), edge_product(spec, *args, batch), rtol=1e-5, atol=1e-5)


def test_mistakes_are_refused():
    with pytest.raises(ValueError, match="path 1: 1o times 1o contains no 1o; expected one of 0e, 1e, 2e"):
        EdgeProduct((VECTOR,), (SCALAR, VECTOR), (VECTOR,), (Path(0, 0, 0), Path(0, 1, 0)))
    with pytest.raises(ValueError, match="edge slot 0o"):
        EdgeProduct((SCALAR,), (Irrep(0, -1),), (Irrep(0, -1),), (Path(0, 0, 0),))
    with pytest.raises(ValueError, match="basis: found 'polar'"):
        replace(PAINN, basis="polar")
    batch = chain()
    x, harmonics, weights = arguments(PAINN, batch)
    with pytest.raises(ValueError, match=r"found .*\(5, 3, 3\), expected \(5, 4, 3\)"):
        edge_product(PAINN, x, harmonics[:, 1:], weights, batch)


class Interaction(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.spec, self.basis = everything("cartesian"), get_basis("cartesian")

    def forward(self, x, vectors, weights, batch):
        return edge_product(self.spec, x, self.basis.packed_harmonics(vectors, range(3)), weights, batch)


@pytest.mark.noshapes
@pytest.mark.parametrize("how", ["export", "compile"])
def test_compile_and_export(how):
    """Also where no constant was made before, and without harm to what runs later."""
    batch = chain()
    x, _, weights = arguments(everything("cartesian"), batch)
    example = (x, torch.randn(4, 3), weights, batch)
    tables._constants.clear()
    if how == "export":
        program = torch.export.export(Interaction(), example).module()
    else:
        program = torch.compile(Interaction(), fullgraph=True, backend="aot_eager")
    found = program(*example)
    torch.testing.assert_close(found, Interaction()(*example), rtol=0, atol=1e-12)


def test_constants_made_by_inference_serve_training():
    spec, batch = everything(), chain()
    x, harmonics, weights = arguments(spec, batch)
    tables._constants.clear()
    with torch.inference_mode():
        edge_product(spec, x, harmonics, weights, batch)
    x.requires_grad_()
    edge_product(spec, x, harmonics, weights, batch).sum().backward()
    assert x.grad is not None
