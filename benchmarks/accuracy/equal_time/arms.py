"""Who takes part: packages by their documented recipes, their architectures in ours, each with the other's recipe."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from peers import Arm
from settings import settings

LIKE_MACE: dict[str, Any] = {
    **{"name": "mace", "channels": 128, "l_max": 3, "l_hidden": 1, "correlation": 3, "num_layers": 2},
    **{"num_radial": 8, "radial_hidden": (64, 64, 64), "envelope_power": 5, "cutoff": 5.0},
}
LIKE_NEQUIP: dict[str, Any] = {
    **{"name": "nequip", "channels": 32, "l_max": 1, "parity": True, "num_layers": 4, "num_radial": 8},
    **{"radial_hidden": (64, 64), "trainable_radial": False, "envelope_power": 6, "cutoff": 5.0},
}
RATES, BATCHES = (1 / 3, 1.0, 3.0), (0.5, 1.0, 2.0)  # what tuning tries, in parts of the documented value


def arms(peers: Path) -> dict[str, Arm]:
    """By name; `peers` is the folder of their environments."""
    python = {name: peers / name / "bin" / "python" for name in ("mace", "nequip")}
    ours = Path(sys.executable)
    mace = Arm(name="mace", kind="mace", python=python["mace"], what="MACE, documented recipe")
    nequip = Arm(name="nequip", kind="nequip", python=python["nequip"], what="NequIP, tutorial configuration")
    same_mace, same_nequip = (
        Arm(
            name=f"equipot-{model['name']}",
            kind="equipot",
            python=ours,
            what=f"equipot, the same {title}",
            settings={"model": model},
        )
        for model, title in ((LIKE_MACE, "MACE"), (LIKE_NEQUIP, "NequIP"))
    )
    reference = {"EQUIPOT_KERNELS": "reference"}
    made = (
        *(mace, nequip, same_mace, same_nequip),
        _but(nequip, "compiled", "compiled", settings={"compile_mode": "compile"}),
        _but(same_mace, "reference", "without compiled kernels", environment=reference),
        _but(same_nequip, "reference", "without compiled kernels", environment=reference),
        _but(nequip, "our-recipe", "with equipot's recipe", recipe="equipot"),
        _but(same_mace, "their-recipe", "with MACE's recipe", recipe="mace"),
        _but(same_nequip, "their-recipe", "with NequIP's recipe", recipe="nequip", cost_as=same_nequip.name),
        *(
            Arm(
                name=f"equipot-{m}-small",
                kind="equipot",
                python=ours,
                what=f"equipot, {m} small as above",
                settings={"model": settings(m, "small", "three_bpa")},
            )
            for m in ("painn", "nequip", "mace")
        ),
    )
    tried = (varied(arm, rate, batch) for arm in made for rate in RATES for batch in BATCHES)
    return {arm.name: arm for arm in (*made, *tried)}


def varied(arm: Arm, rate: float, batch: float) -> Arm:
    """The arm with another learning rate and batch, in parts of its own; itself if nothing changes.

    An epoch of a peer costs what it costs in other batches; a step of ours does not.
    """
    if (rate, batch) == (1.0, 1.0):
        return arm
    changed = {name: value for name, value in (("rate", rate), ("batch", batch)) if value != 1}
    alike = arm.kind != "equipot" or batch == 1
    return replace(
        arm,
        name="-".join([arm.name, *(f"{name}-{value:.2g}" for name, value in changed.items())]),
        what=", ".join([arm.what, *(f"{name} × {value:.2g}" for name, value in changed.items())]),
        rate=rate,
        batch=batch,
        base=arm.name,
        cost_as=arm.cost_as or (arm.name if alike else ""),
    )


def _but(arm: Arm, suffix: str, what: str, **changes: Any) -> Arm:
    return replace(arm, name=f"{arm.name}-{suffix}", what=f"{arm.what}, {what}", **changes)
