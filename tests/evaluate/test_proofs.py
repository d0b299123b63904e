"""A sound model passes all proofs; a broken one fails the proof of what is broken."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from contract.every_model import ELEMENTS, SYSTEMS, small
from equipot.config import parse
from equipot.data.collate import batch_of
from equipot.evaluate import proofs
from equipot.evaluate.proofs import verify
from equipot.models import painn
from equipot.nn import scalars_vectors
from equipot.nn.radial_network import RadialNetwork
from equipot.potential import Potential, PotentialConfig, frozen
from equipot.tensor.features import Features
from equipot.testing import isolated_energies, one_atom, random_potential

FRAMES = [SYSTEMS["molecule"], SYSTEMS["bulk"]]


def failed(potential: Potential) -> set[str]:
    """Names of the proofs that do not hold."""
    return {proof.name for proof in verify(potential, FRAMES, quick=True) if not proof.passed}


@pytest.mark.slow
@pytest.mark.parametrize("targets", ["everything", "at positions"])
def test_a_sound_model_passes(architecture, dtype, targets):
    frames = FRAMES if targets == "everything" else FRAMES[:1]
    sheet = verify(small(architecture, targets, dtype), frames, quick=True)
    assert [proof for proof in sheet if not proof.passed] == []
    names = {proof.name for proof in sheet}
    assert {"equivariance", "parity", "forces", "stress", "extensivity", "isolated atom"} <= names
    assert ("float32 = float64" in names) == (dtype == torch.float32)


def test_the_model_itself_is_left_alone():
    potential = small("painn", "everything", torch.float32)
    before = {name: value.clone() for name, value in potential.state_dict().items()}
    verify(potential, FRAMES, quick=True)
    after = potential.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert next(potential.parameters()).dtype == torch.float32


def test_without_frames_structures_are_built():
    sheet = verify(small("painn", "scalars only", torch.float64), quick=True)
    assert [proof for proof in sheet if not proof.passed] == []
    assert "built" in next(proof.detail for proof in sheet if proof.name == "equivariance")


def test_the_isolated_atom_says_how_far_it_is_from_its_reference():
    """μ + m + σ e of an atom alone: the sheet says m + σ e, which is zero only by chance."""
    plain = small("painn", "scalars only", torch.float64)
    shifted = Potential(plain.config, plain.statistics.model_copy(update={"energy_shift": -4.0}))
    shifted.double().load_state_dict(plain.state_dict())
    lone = batch_of([one_atom(6)], ELEMENTS, 3.0)
    above = float((shifted(lone).energy - shifted.reference_energies(lone.species)).detach())
    assert isolated_energies(shifted)[6] == pytest.approx(above, abs=1e-12)
    assert isolated_energies(shifted)[6] == pytest.approx(isolated_energies(plain)[6] - 4.0, abs=1e-12)
    (line,) = [p for p in verify(shifted, FRAMES[:1], quick=True) if p.name == "isolated atom"]
    assert (
        line.passed
        and "energy above the reference: H " in line.detail
        and f"C {above:+.3g} eV" in line.detail
    )


def test_a_model_without_energy_is_examined_on_what_it_predicts():
    values = {
        "model": {"name": "painn", "channels": 8, "num_layers": 1},
        "targets": {"energy": None, "dipole": {}},
    }
    potential = random_potential(parse(PotentialConfig, values, "test"), ELEMENTS)
    sheet = verify(potential, FRAMES[:1], quick=True)
    assert [proof for proof in sheet if not proof.passed] == []
    assert "forces" not in {proof.name for proof in sheet}


class Altered(nn.Module):
    """A backbone whose scalars are changed by what they must not depend on."""

    def __init__(self, model: nn.Module, change) -> None:
        super().__init__()
        self.model, self.change = model, change
        self.irreps, self.basis = model.irreps, model.basis

    def forward(self, batch):
        features = self.model(batch)
        scalars = features.scalars + 1e-3 * self.change(features, batch).to(features.scalars)
        return Features(features.irreps, (scalars[:, None], *features.blocks[1:]))


def altered(change) -> Potential:
    """PaiNN with an altered backbone."""
    values = {"model": {"name": "painn", "channels": 8, "num_layers": 2, "num_radial": 6, "cutoff": 3.0}}
    potential = random_potential(parse(PotentialConfig, values, "test"), ELEMENTS)
    potential.model = Altered(potential.model, change)
    return potential


def direction(features, batch):
    """Depends on how the structure is turned."""
    x = batch.vectors()[:, :1]
    decay = (1 - batch.vectors().square().sum(-1, keepdim=True) / 9).clamp(min=0) ** 3
    return torch.zeros_like(batch.positions[:, :1]).index_add(0, batch.receivers, x**2 * decay)


def handed(features, batch):
    """Tells a molecule from its mirror image."""
    a, b, c = features["1o"][..., 0], features["1o"][..., 1], features["1o"][..., 2]
    return torch.linalg.cross(a, b).mul(c).sum(-1, keepdim=True)


def place(features, batch):
    """Depends on where the structure is."""
    return torch.sin(batch.positions.norm(dim=-1, keepdim=True))


def number(features, batch):
    """Depends on the order of the atoms."""
    return torch.arange(batch.num_atoms)[:, None]


def crowd(features, batch):
    """Depends on all other atoms of the system."""
    return batch.atoms_per_system()[batch.system][:, None]


def company(features, batch):
    """Depends on the other systems of the batch."""
    return torch.full((batch.num_atoms, 1), float(batch.num_systems))


def step_at_cutoff(features, batch):
    """Counts neighbors."""
    ones = torch.ones(batch.receivers.shape[0], 1)
    return torch.zeros(batch.num_atoms, 1).index_add(0, batch.receivers, ones)


BROKEN = [
    (direction, "equivariance"),
    (handed, "parity"),
    (place, "translation"),
    (number, "permutation"),
    (crowd, "extensivity"),
    (crowd, "supercell"),
    (company, "batch = loop"),
    (step_at_cutoff, "cutoff smoothness"),
]


@pytest.mark.parametrize(("change", "proof"), BROKEN, ids=lambda x: getattr(x, "__name__", x))
def test_a_broken_backbone_is_caught(change, proof):
    assert proof in failed(altered(change))


def test_only_parity_fails_for_a_model_of_rotations_alone():
    assert failed(altered(handed)) == {"parity"}


def test_an_order_of_neighbors_that_matters_is_caught():
    def first_neighbor(features, batch):
        lengths = batch.vectors().square().sum(-1)
        first = batch.row_pointer[:-1].clamp(max=len(lengths) - 1)
        return lengths[first][:, None] if len(lengths) else torch.zeros(batch.num_atoms, 1)

    assert "neighbor order" in failed(altered(first_neighbor))


class Scaled(Potential):
    """One derivative is off by a little."""

    what, factor = "forces", 1 + 1e-5

    def forward(self, batch, **options):
        out = super().forward(batch, **options)
        value = getattr(out, self.what)
        return out if value is None else replace(out, **{self.what: value * self.factor})


@pytest.mark.parametrize("what", ["forces", "stress"])
def test_a_wrong_derivative_is_caught(what):
    potential = small("painn", "scalars only", torch.float64)
    wrong = Scaled(potential.config, potential.statistics)
    wrong.load_state_dict(potential.state_dict())
    wrong.what = what
    assert what in failed(wrong.double())


def test_a_norm_without_care_at_zero_is_caught(monkeypatch):
    monkeypatch.setenv("EQUIPOT_KERNELS", "reference")  # compiled, the norm is a part of a polynomial
    potential = small("painn", "scalars only", torch.float64)
    careless = lambda x, dim, keepdim: x.square().sum(dim, keepdim).sqrt()  # noqa: E731
    monkeypatch.setattr(scalars_vectors, "safe_norm", careless)
    names = failed(potential)
    assert "second derivatives at symmetric sites" in names
    assert "training gradient" in names


DRIFTS = [
    (lambda dt: 1e-3 * dt**2, True),  # of the integrator: falls with the time step
    (lambda dt: 1e-3, False),  # of the model: does not
    (lambda dt: 1e-6, True),  # below the limit
    (lambda dt: float("nan"), False),
]


@pytest.mark.parametrize(("drift", "passes"), DRIFTS, ids=["integrator", "model", "small", "nan"])
def test_drift_in_dynamics(monkeypatch, drift, passes):
    monkeypatch.setattr(proofs, "nve_drift", lambda *args, dt, **options: drift(dt))
    sheet = {p.name: p for p in verify(small("schnet", "scalars only", torch.float64), FRAMES[:1])}
    assert sheet["energy drift in NVE"].passed == passes


def test_wrong_forces_drift(monkeypatch):
    monkeypatch.setattr(proofs, "NVE_STEPS", 40)
    potential = small("schnet", "scalars only", torch.float64)
    wrong = Scaled(potential.config, potential.statistics)
    wrong.load_state_dict(potential.state_dict())
    for factor, passes in ((1.0, True), (1.05, False)):
        wrong.factor = factor
        sheet = {p.name: p for p in verify(wrong.double(), FRAMES[:1])}
        assert sheet["energy drift in NVE"].passed == passes


def test_an_envelope_that_does_not_close_is_caught(monkeypatch):
    potential = small("painn", "scalars only", torch.float64)
    monkeypatch.setattr(painn, "envelope", lambda name, r, cutoff: (1 - r / cutoff).clamp(min=0))
    assert failed(potential) == {"cutoff smoothness"}


def test_a_model_that_suffers_from_single_precision_is_caught():
    def rounded(features, batch):
        return features.scalars * float(features.scalars.dtype == torch.float32)

    assert failed(altered(rounded).float()) == {"float32 = float64"}


def test_a_table_that_is_not_the_network_is_caught(monkeypatch):
    """Calculators use tables: the sheet compares them with the model in double precision, energy and forces."""

    def wrong(potential: Potential) -> Potential:
        out = frozen(potential)
        for table in (m.table for m in out.modules() if isinstance(m, RadialNetwork)):
            table[len(table) // 3 :, 0] *= 1.01
        return out

    potential = small("mace", "scalars only", torch.float32)
    assert "frozen = float64" in {proof.name for proof in verify(potential, FRAMES[:1], quick=True)}
    monkeypatch.setattr(proofs, "frozen", wrong)
    assert failed(potential) == {"frozen = float64"}
