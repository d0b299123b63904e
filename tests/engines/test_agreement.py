"""Engines that compute the same pass; one that does not, fails the proof of what it gets wrong."""

from dataclasses import replace

import numpy as np
import pytest

from engines.test_ase import crystal, periodic_potential
from engines.tiny import ethanol, potential
from equipot.engines import agreement as module
from equipot.engines.agreement import agreement, chosen, missing, moving, reference_kernels
from equipot.engines.catalog import ENGINES, Engine
from equipot.engines.trace import trace

QUANTITIES = ("energy", "forces", "stress", "NVE steps")


def names(proofs) -> set[str]:
    return {proof.name for proof in proofs}


def test_ase_and_openmm_agree_with_the_reference():
    pytest.importorskip("openmm")
    proofs = agreement(periodic_potential(scale=0.1), [ethanol(), crystal()], ["ase", "openmm"])
    assert [p for p in proofs if not p.passed] == []
    expected = {f"ase = reference: {q}" for q in QUANTITIES}
    expected |= {f"openmm = reference: {q}" for q in QUANTITIES if q != "stress"}  # it has none
    assert names(proofs) == expected
    assert all(p.limit <= 1e-10 for p in proofs)


@pytest.mark.parametrize(
    ("wrong", "failing"),
    [
        ("energies", {"energy"}),
        ("forces", {"forces", "NVE steps"}),
        ("positions", {"NVE steps"}),
        ("stress", {"stress"}),
    ],
)
def test_what_is_wrong_fails(monkeypatch, wrong, failing):
    """A quantity off by a part in 10⁸, as after a conversion with an old constant."""

    def off(potential, atoms, dt, steps):
        found = trace(potential, atoms, dt, steps)
        return replace(found, **{wrong: getattr(found, wrong) * (1 + 1e-8)})

    monkeypatch.setattr(module, "tracer", lambda name: trace if name == "ase" else off)
    proofs = agreement(periodic_potential(scale=0.1), [crystal()], ["openmm"])
    assert {p.name.removeprefix("openmm = reference: ") for p in proofs if not p.passed} == failing


def test_a_number_that_is_none_fails(monkeypatch):
    def broken(potential, atoms, dt, steps):
        found = trace(potential, atoms, dt, steps)
        found.forces[0, 2] = np.nan
        return found

    monkeypatch.setattr(module, "tracer", lambda name: trace if name == "ase" else broken)
    proofs = agreement(potential(scale=0.1), [ethanol()], ["openmm"])
    assert "openmm = reference: forces" in names(p for p in proofs if not p.passed)


def test_float32_is_proved_on_a_float64_copy():
    model = potential(scale=0.1).float()
    assert all(p.passed for p in agreement(model, [ethanol()], ["ase"]))
    assert next(model.parameters()).dtype.itemsize == 4


def test_an_engine_that_refuses_has_no_proof(monkeypatch):
    def refusing(*arguments):
        raise ValueError("not this model")

    monkeypatch.setattr(module, "tracer", lambda name: trace if name == "ase" else refusing)
    said = []
    assert agreement(potential(), [ethanol()], ["openmm"], said.append) == ()
    assert said == ["engine openmm: not proved. not this model"]
    with pytest.raises(ValueError, match="not this model"):
        agreement(potential(), [ethanol()], ["openmm"])


def test_engines_by_name(monkeypatch):
    assert chosen(()) == ()
    assert chosen("ase") == ("ase",)
    assert "ase" in chosen("all")
    with pytest.raises(ValueError, match=r"no engine 'openm'.*openmm"):
        chosen("ase,openm")
    absent = Engine(name="openmm", package="not-installed-anywhere", extra="openmm", ensembles=())
    monkeypatch.setitem(ENGINES, "openmm", absent)
    assert "openmm" not in chosen("all")
    assert any("engine openmm: not installed, not proved" in line for line in missing())
    with pytest.raises(ValueError, match=r"pip install 'equipot\[openmm\]'"):
        chosen("openmm")


def test_the_reference_is_plain_pytorch(monkeypatch):
    import os

    monkeypatch.setenv("EQUIPOT_KERNELS", "auto")
    with reference_kernels():
        assert os.environ["EQUIPOT_KERNELS"] == "reference"
    assert os.environ["EQUIPOT_KERNELS"] == "auto"
    monkeypatch.delenv("EQUIPOT_KERNELS")
    with pytest.raises(KeyError), reference_kernels():
        raise KeyError
    assert "EQUIPOT_KERNELS" not in os.environ


def test_a_trace_starts_where_the_atoms_are():
    atoms = moving(crystal(), seed=3)
    found = trace(periodic_potential(scale=0.1), atoms, 0.25, 3)
    assert found.energies.shape == (4,)
    np.testing.assert_array_equal(found.positions[0], atoms.positions)
    np.testing.assert_allclose(found.stress, found.stress.T, atol=1e-15)
    assert np.abs(found.positions[3] - found.positions[0]).max() > 1e-4


def test_nothing_to_compare_is_no_agreement():
    with pytest.raises(ValueError, match="compared on structures, and none is given"):
        agreement(potential(), [], ["ase"])
