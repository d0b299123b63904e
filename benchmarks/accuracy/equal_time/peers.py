"""How each package is asked to train: its documented recipe, the length of the schedule scaled to the time there is.

MACE 0.3.16: the defaults of mace_run_train with what its README adds (128 channels, max_L 1, EMA, stage two at 75 %).
NequIP 0.19.1: the tutorial configuration. The patience of both schedulers is scaled with the number of epochs.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SYMBOLS = {"H": 1, "C": 6, "N": 7, "O": 8}


@dataclass(frozen=True, kw_only=True)
class Files:
    """One training set as every package wants it."""

    train: Path  # extended XYZ with REF_energy and REF_forces
    valid: Path
    isolated: dict[str, float]  # symbol -> eV
    configuration: dict[str, Any]  # the same frames as equipot names them


@dataclass(frozen=True, kw_only=True)
class Arm:
    """A package with a model and a recipe; `length` is in its own units, epochs or steps."""

    name: str
    kind: str
    python: Path
    what: str
    settings: dict[str, Any] = field(default_factory=dict)

    def prepare(self, files: Files, folder: Path, length: int, seed: int) -> list[str]:
        """Write what it needs into the folder; the command that trains there."""
        folder.mkdir(parents=True, exist_ok=True)
        make = {"mace": _mace, "nequip": _nequip, "equipot": _equipot}[self.kind]
        return [str(self.python), *make(self, files, folder, length, seed)]

    def model(self, folder: Path) -> Path:
        """The trained model."""
        if self.kind == "mace":
            return folder / "run_stagetwo.model"
        return folder / ("best.ckpt" if self.kind == "nequip" else "run/model.equipot")


def _mace(arm: Arm, files: Files, folder: Path, epochs: int, seed: int) -> list[str]:
    energies = {SYMBOLS[s]: e for s, e in files.isolated.items()}
    options = {
        **{"name": "run", "work_dir": folder, "device": "cpu", "default_dtype": "float32", "seed": seed},
        **{"train_file": files.train, "valid_file": files.valid, "E0s": energies, "model": "MACE"},
        **{"num_channels": 128, "max_L": 1, "r_max": 5.0, "batch_size": 10, "valid_batch_size": 10},
        **{"max_num_epochs": epochs, "start_stage_two": max(1, round(0.75 * epochs)), "ema_decay": 0.99},
        **{"scheduler_patience": max(1, round(50 * epochs / 2048)), "plot": False},
        **{"error_table": "TotalRMSE", "eval_interval": max(1, epochs // 20), **arm.settings},
    }
    words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    return ["-m", "mace.cli.run_train", *words, "--stage_two", "--ema", "--amsgrad"]


def _nequip(arm: Arm, files: Files, folder: Path, epochs: int, seed: int) -> list[str]:
    symbols, metric, at = list(files.isolated), "val0_epoch/weighted_sum", str(folder)
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
        "train_dataloader": {**loader, "batch_size": 5, "shuffle": True},
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
        "optimizer": {"_target_": "torch.optim.Adam", "lr": 0.01},
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
    config = {
        **{"run": ["train"], "data": data, "trainer": trainer, "training_module": module},
        "global_options": {"allow_tf32": False},
    }
    (folder / "config.yaml").write_text(json.dumps(config, indent=1))  # JSON is YAML
    entry = "from nequip.scripts.train import main; main()"
    return ["-c", entry, "-cp", at, "-cn", "config.yaml", f"hydra.run.dir={at}"]


def _equipot(arm: Arm, files: Files, folder: Path, steps: int, seed: int) -> list[str]:
    config = json.loads(json.dumps(files.configuration))
    config["model"], length = arm.settings["model"], {"steps": steps, "seed": seed}
    config["train"] = {**config["train"], **length, **arm.settings.get("train", {})}
    (folder / "config.yaml").write_text(json.dumps(config, indent=1))
    return ["-m", "equipot", "train", str(folder / "config.yaml"), "--out", str(folder / "run"), "--quiet"]
