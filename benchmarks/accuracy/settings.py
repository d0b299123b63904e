"""Hyper-parameters of the accuracy benchmarks, as data: small ones for minutes on a CPU, and the published ones.

A model that has no entry under `small` takes its own preset of that name.
"""

from typing import Any, get_args

from equipot.models import Architecture

SMALL: dict[str, dict[str, Any]] = {
    "painn": {"channels": 64, "num_layers": 3, "cutoff": 5.0},
    "schnet": {"channels": 64, "num_layers": 3, "cutoff": 5.0},
    "nequip": {"channels": 32, "l_max": 2, "parity": False, "num_layers": 3, "cutoff": 5.0},
    "allegro": {
        **{"channels": 16, "l_max": 2, "parity": False, "num_layers": 2, "cutoff": 5.0},
        **{"two_body": (32, 64), "latent": (64, 64), "readout_hidden": (32,)},
    },
    "mace": {"channels": 64, "l_max": 2, "l_hidden": 1, "radial_hidden": (32, 32), "cutoff": 5.0},
    "ictp": {"channels": 64, "l_max": 2, "l_hidden": 1, "radial_hidden": (32, 32), "cutoff": 5.0},
    "segnn": {"channels": 32, "l_features": 1, "l_attributes": 1, "num_layers": 3, "cutoff": 5.0},
    "tensornet": {"channels": 32, "num_layers": 2, "num_radial": 16, "cutoff": 4.5},
}
# the settings of the published tables; models that are not in them, as in their own papers
PUBLISHED: dict[str, dict[str, Any]] = {
    "painn": {"channels": 128, "num_layers": 3, "num_radial": 20, "cutoff": 5.0},
    "schnet": {"channels": 128, "num_layers": 6, "num_radial": 20, "cutoff": 5.0},
    "nequip": {
        **{
            "channels": 64,
            "l_max": 3,
            "parity": True,
            "num_layers": 5,
            "num_radial": 8,
            "radial_hidden": (64, 64),
        },
        **{"trainable_radial": True, "envelope_power": 6, "prune": False, "cutoff": 5.0},
    },
    "allegro": {
        **{
            "form": "published",
            "channels": 128,
            "l_max": 3,
            "parity": True,
            "num_layers": 3,
            "num_radial": 8,
        },
        **{"two_body": (128, 256, 512, 1024), "latent": (1024, 1024, 1024), "readout_hidden": (128,)},
        **{"envelope_power": 6, "cutoff": 5.0},
    },
    "mace": {
        **{"channels": 256, "l_max": 3, "l_hidden": 2, "correlation": 3, "num_layers": 2, "num_radial": 8},
        **{"radial_hidden": (64, 64, 64), "envelope_power": 5, "readout_hidden": 16, "cutoff": 5.0},
    },
    "ictp": {
        **{"channels": 256, "l_max": 3, "l_hidden": 2, "correlation": 3, "num_layers": 2, "num_radial": 8},
        **{
            "radial_hidden": (64, 64, 64),
            "envelope_power": 5,
            "readout_hidden": 16,
            "cutoff": 5.0,
            "product": "sym",
        },
    },
    "segnn": {"channels": 128, "l_features": 2, "l_attributes": 3, "num_layers": 7, "cutoff": 5.0},
    "tensornet": {"channels": 128, "num_layers": 2, "num_radial": 32, "cutoff": 4.5},
}
# set -> model -> what its papers set otherwise for that set
PUBLISHED_FOR: dict[str, dict[str, dict[str, Any]]] = {
    "aspirin": {"nequip": {"cutoff": 4.0}, "allegro": {"cutoff": 7.0}}
}
# as published for 3BPA: weights of mean squared errors in eV and eV/Å; the weight decay here is on all linear matrices
RECIPES: dict[str, dict[str, Any]] = {
    "nequip": {
        **{
            "optimizer": "amsgrad",
            "learning_rate": 1e-2,
            "weight_decay": 0.0,
            "clip": None,
            "schedule": "plateau",
        },
        **{"plateau": {"factor": 0.8, "patience": 50}, "weights": {"energy": 1.0, "forces": 1000.0}},
    },
    "mace": {
        **{
            "optimizer": "amsgrad",
            "learning_rate": 1e-2,
            "weight_decay": 5e-7,
            "clip": None,
            "schedule": "plateau",
        },
        **{"plateau": {"factor": 0.8, "patience": 50}, "weights": {"energy": 1.0, "forces": 1000.0}},
        "precision": "float64",
    },
}


def available() -> tuple[str, ...]:
    """Names of the architectures of this version."""
    return tuple(kind.model_fields["name"].default for kind in get_args(Architecture))


def settings(name: str, size: str, benchmark: str) -> dict[str, Any]:
    """The `model:` section; ValueError for an unknown architecture, or one whose published settings are not here."""
    if name not in available():
        raise ValueError(f"{name}: not an architecture of this version, which has {', '.join(available())}.")
    if size == "small":
        return {"name": name, **SMALL.get(name, {"size": "small"})}
    if size != "published":
        return {"name": name, "size": size}
    if name not in PUBLISHED:
        raise ValueError(f"{name}: no published settings are written down here. Choose --size small.")
    return {"name": name, **PUBLISHED[name], **PUBLISHED_FOR.get(benchmark, {}).get(name, {})}


def recipe(name: str, which: str, steps_per_epoch: int) -> dict[str, Any]:
    """What the `train:` section changes: nothing, or the published recipe, which validates once an epoch."""
    if which == "default":
        return {}
    if name not in RECIPES:
        raise ValueError(f"{name}: no published recipe is written down here. Choose --recipe default.")
    return {**RECIPES[name], "validate_every": steps_per_epoch}
