"""How each package is asked to train: its documented recipe, the length of the schedule scaled to the time there is.

MACE 0.3.16: the defaults of mace_run_train with what its README adds (128 channels, max_L 1, EMA, stage two at 75 %).
NequIP 0.19.1: the tutorial configuration. The patience of both schedulers is scaled with the number of epochs.
"""

import copy
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from equipot.train.averaging import HORIZONS
from equipot.train.loss import LENGTH, LENGTH_COOLDOWN
from equipot.train.plan import LEARNING_RATES
from equipot.train.schedule import COOLDOWN, WarmupStayCooldown

SYMBOLS = {"H": 1, "C": 6, "N": 7, "O": 8}


@dataclass(frozen=True, kw_only=True)
class Files:
    """One training set as every package wants it."""

    train: Path  # extended XYZ with REF_energy and REF_forces
    valid: Path
    isolated: dict[str, float]  # symbol -> eV
    configuration: dict[str, Any]  # the same frames as equipot names them

    @property
    def frames(self) -> int:
        """Of the training set."""
        return len(self.configuration["data"]["split"]["train"])


@dataclass(frozen=True, kw_only=True)
class Arm:
    """A package with a model and a recipe; `length` is in its own units, epochs or steps."""

    name: str
    kind: str
    python: Path
    what: str
    settings: dict[str, Any] = field(default_factory=dict)
    recipe: str = ""  # whose, where it is another package's: mace, nequip or equipot
    rate: float = 1.0  # the learning rate and the batch, in parts of the recipe's
    batch: float = 1.0
    cost_as: str = ""  # the arm that a step of this one costs as much as
    base: str = ""  # the arm that this one varies
    environment: dict[str, str] = field(default_factory=dict)

    def prepare(self, files: Files, folder: Path, length: int, seed: int) -> list[str]:
        """Write what it needs into the folder; the command that trains there."""
        folder.mkdir(parents=True, exist_ok=True)
        make = {"mace": _mace, "nequip": _nequip, "equipot": _equipot}[self.kind]
        return [str(self.python), *make(self, files, folder, length, seed)]

    def model(self, folder: Path) -> Path:
        """The trained model."""
        if self.kind == "mace":  # a run of one epoch has no second stage
            second = folder / "run_stagetwo.model"
            return second if second.exists() else folder / "run.model"
        return folder / ("best.ckpt" if self.kind == "nequip" else "run/model.equipot")


def _mace(arm: Arm, files: Files, folder: Path, epochs: int, seed: int) -> list[str]:
    energies = {SYMBOLS[s]: e for s, e in files.isolated.items()}
    batch = round(10 * arm.batch)
    options = {
        **{"name": "run", "work_dir": folder, "device": "cpu", "default_dtype": "float32", "seed": seed},
        **{"train_file": files.train, "valid_file": files.valid, "E0s": energies, "model": "MACE"},
        **{"num_channels": 128, "max_L": 1, "r_max": 5.0, "batch_size": batch, "valid_batch_size": 10},
        **{"lr": 1e-2 * arm.rate, "stage_two_lr": 1e-3 * arm.rate},
        **{"max_num_epochs": epochs, "start_stage_two": max(1, round(0.75 * epochs)), "ema_decay": 0.99},
        **{"scheduler_patience": max(1, round(50 * epochs / 2048)), "plot": False},
        **{"error_table": "TotalRMSE", "eval_interval": max(1, epochs // 20), **arm.settings},
    }
    words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    return ["-m", "mace.cli.run_train", *words, "--stage_two", "--ema", "--amsgrad"]


def _nequip(arm: Arm, files: Files, folder: Path, epochs: int, seed: int) -> list[str]:
    symbols, metric, at = list(files.isolated), "val0_epoch/weighted_sum", str(folder)
    batch = max(1, int(5 * arm.batch))
    loader = {"_target_": "torch.utils.data.DataLoader", "num_workers": 0}
    metrics = {
        "_target_": "nequip.train.EnergyForceMetrics",
        "coeffs": {"total_energy_mae": 1.0, "forces_mae": 1.0},
    }
    keys = {"key_mapping": {"REF_energy": "total_energy", "REF_forces": "forces"}}
    data = {
        "_target_": "nequip.data.datamodule.ASEDataModule",
        **{"seed": seed, "train_file_path": str(files.train), "val_file_path": str(files.valid)},
        "ase_args": {"format": "extxyz"},
        **keys,
        "transforms": [
            {
                "_target_": "nequip.data.transforms.ChemicalSpeciesToAtomTypeMapper",
                "model_type_names": symbols,
                "chemical_species_to_atom_type_map": {s: s for s in symbols},
            },
            {"_target_": "nequip.data.transforms.NeighborListTransform", "r_max": 5.0},
        ],
        "train_dataloader": {**loader, "batch_size": batch, "shuffle": True},
        "val_dataloader": {**loader, "batch_size": 10},
        "stats_manager": {
            "_target_": "nequip.data.CommonDataStatisticsManager",
            "dataloader_kwargs": {"batch_size": 10},
            "type_names": symbols,
        },
    }
    model = {
        "_target_": "nequip.model.NequIPGNNModel",
        **{"seed": seed, "model_dtype": "float32", "type_names": symbols, "r_max": 5.0, "num_bessels": 8},
        **{"bessel_trainable": False, "polynomial_cutoff_p": 6, "num_layers": 4, "l_max": 1, "parity": True},
        **{"num_features": 32, "radial_mlp_depth": 2, "radial_mlp_width": 64},
        "avg_num_neighbors": "${training_data_stats:num_neighbors_mean}",
        "per_type_energy_scales": "${training_data_stats:per_type_forces_rms}",
        "per_type_energy_shifts": files.isolated,
        **{"per_type_energy_scales_trainable": False, "per_type_energy_shifts_trainable": False},
        "pair_potential": {
            "_target_": "nequip.nn.pair_potential.ZBL",
            "units": "metal",
            "chemical_species": symbols,
        },
        **arm.settings,
    }
    scheduler = {
        "_target_": "torch.optim.lr_scheduler.ReduceLROnPlateau",
        **{"factor": 0.6, "patience": max(1, round(5 * epochs / 200)), "threshold": 0.2, "min_lr": 1e-6},
    }
    module = {
        **{"_target_": "nequip.train.EMALightningModule", "ema_decay": 0.999},
        "loss": {
            **{"_target_": "nequip.train.EnergyForceLoss", "per_atom_energy": True},
            "coeffs": {"total_energy": 1.0, "forces": 1.0},
        },
        **{"val_metrics": metrics, "train_metrics": metrics, "test_metrics": metrics},
        "optimizer": {"_target_": "torch.optim.Adam", "lr": 0.01 * arm.rate},
        "lr_scheduler": {"scheduler": scheduler, "monitor": metric, "interval": "epoch", "frequency": 1},
        "model": model,
    }
    keep = {
        "_target_": "lightning.pytorch.callbacks.ModelCheckpoint",
        **{"monitor": metric, "dirpath": at, "filename": "best", "save_last": True},
    }
    trainer = {
        **{"_target_": "lightning.Trainer", "accelerator": "cpu", "max_epochs": epochs},
        **{"check_val_every_n_epoch": 1, "log_every_n_steps": 20, "callbacks": [keep], "logger": False},
    }
    if arm.recipe == "equipot":
        _ours_in_nequip(module, trainer, epochs, files.frames // batch)
    config = {
        **{"run": ["train"], "data": data, "trainer": trainer, "training_module": module},
        "global_options": {"allow_tf32": False},
    }
    (folder / "config.yaml").write_text(json.dumps(config, indent=1))  # JSON is YAML
    entry = "from nequip.scripts.train import main; main()"
    return ["-c", entry, "-cp", at, "-cn", "config.yaml", f"hydra.run.dir={at}"]


def _ours_in_nequip(module: dict[str, Any], trainer: dict[str, Any], epochs: int, per_epoch: int) -> None:
    """SOAP, its schedule, clipping, and the exchange rate of energies and forces; see ours_in_nequip.py."""
    num_steps = epochs * per_epoch
    schedule = WarmupStayCooldown(num_steps, COOLDOWN["standard"])
    rates = dict(zip(("learning_rate", "adam_rate"), LEARNING_RATES["nequip"], strict=True))
    module["optimizer"] = {"_target_": "ours_in_nequip.OurOptimizer", **rates}
    scheduler = {"_target_": "ours_in_nequip.schedule", "num_steps": num_steps, "cooldown": schedule.cooldown}
    module["lr_scheduler"] = {"scheduler": scheduler, "interval": "step", "frequency": 1}
    module["ema_decay"] = 1 - 1 / max(10.0, HORIZONS["long"] * num_steps)
    weights = {}
    for epoch in range(epochs):
        late = min(2 * schedule.cooled(epoch * per_epoch), 1.0)
        length = LENGTH * (LENGTH_COOLDOWN / LENGTH) ** late
        weights[epoch] = {"per_atom_energy_mse": 1 / (3 * length**2), "forces_mse": 1.0}
    scheduler = {"_target_": "nequip.train.callbacks.LossCoefficientScheduler", "schedule": weights}
    trainer["callbacks"].append(scheduler)


# as documented, of one process with batches of 10 and of 5 frames; the patience is scaled with the length
THEIRS: dict[str, dict[str, Any]] = {
    "mace": {  # its first stage; the second one changes weights in mid-run, which no key of ours does
        **{"optimizer": "amsgrad", "learning_rate": 1e-2, "weight_decay": 5e-7, "clip": 10.0, "batch": 10},
        **{"energy_per_atom": True, "weights": {"energy": 1.0, "forces": 100.0}, "schedule": "plateau"},
        "plateau": {"factor": 0.8, "patience": 50 / 2048},
    },
    "nequip": {
        **{"optimizer": "adam", "learning_rate": 1e-2, "weight_decay": 0.0, "clip": None, "batch": 5},
        **{"energy_per_atom": True, "weights": {"energy": 1.0, "forces": 1.0}, "schedule": "plateau"},
        "plateau": {"factor": 0.6, "patience": 5 / 200, "threshold": 0.2},
    },
}


def _equipot(arm: Arm, files: Files, folder: Path, steps: int, seed: int) -> list[str]:
    config = json.loads(json.dumps(files.configuration))
    config["model"], chosen = arm.settings["model"], config["train"]
    chosen |= {"steps": steps, "seed": seed, **copy.deepcopy(THEIRS.get(arm.recipe, {}))}
    documented = chosen["batch"]
    chosen["batch"] = max(1, int(documented * arm.batch))
    if arm.recipe:  # one validation an epoch
        chosen["validate_every"] = max(1, files.frames // chosen["batch"])
        patience = chosen["plateau"]["patience"] * steps / chosen["validate_every"]
        chosen["plateau"]["patience"] = max(1, round(patience))
    elif (arm.rate, arm.batch) != (1.0, 1.0):
        chosen["learning_rate"] = LEARNING_RATES[config["model"]["name"]][0] * math.sqrt(chosen["batch"] / 5)
    if "learning_rate" in chosen:
        chosen["learning_rate"] *= arm.rate
    (folder / "config.yaml").write_text(json.dumps(config, indent=1))
    return ["-m", "equipot", "train", str(folder / "config.yaml"), "--out", str(folder / "run"), "--quiet"]
