"""The rest of the contract holds for compiled programs, since these are what its models run through."""

import pytest

from contract.every_model import SYSTEMS, fast, small
from equipot import testing
from equipot.kernels import chooser, evaluation, interpolation
from kernels.test_cpu import has_compiler

#: with radial networks that become tables, and that two mirrored edges share in training
TABULATED = ("schnet", "painn", "nequip", "mace", "ictp", "tensornet")


@pytest.mark.skipif(not has_compiler(), reason="no C++ compiler: the reference computes everything")
def test_every_program_is_proved_and_runs(architecture, dtype, monkeypatch):
    """In evaluation, in training and from tables; each in the precision of the contract."""
    decided = {}
    for name, (module, attribute) in {
        "edges": (chooser, "decisions"),
        "pairs": (chooser, "pair_decisions"),
        "tables": (chooser, "tabulated_decisions"),
        "polynomials": (evaluation, "decisions"),
        "interpolation": (interpolation, "decisions"),
    }.items():
        decided[name] = {}
        monkeypatch.setattr(module, attribute, decided[name])
    frame = SYSTEMS["molecule"]
    testing.predict(small(architecture, "scalars only", dtype), frame)
    assert testing.force_loss_gradient(small(architecture, "scalars only", dtype), [frame]) > 0
    testing.predict(fast(architecture, "scalars only", dtype), frame)
    assert {reason for reasons in decided.values() for reason in reasons.values()} <= {None}
    for name in ("pairs", "tables"):
        assert bool(decided[name]) == (architecture in TABULATED), name
    assert bool(decided["edges"]) == (architecture != "segnn")  # which multiplies matrices
