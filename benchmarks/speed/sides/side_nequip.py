"""NequIP 0.19.1 and Allegro 0.8.3: `eager`, `compile` for training, `aoti` as nequip-compile does for ASE.

A compiled model is kept beside the environment; making it takes minutes.
"""

import sys
from pathlib import Path
from typing import Any

import torch
from nequip.data import AtomicDataDict as Keys
from nequip.data import compute_neighborlist_, from_ase
from nequip.data.transforms import ChemicalSpeciesToAtomTypeMapper
from nequip.model import NequIPGNNModel
from nequip.utils.global_state import set_global_state
from protocol import CUTOFF, MEAN_NEIGHBORS, Side, loss, serve, structures

TYPES = ["H", "C", "N", "O"]
NEEDED = (
    *(Keys.POSITIONS_KEY, Keys.EDGE_INDEX_KEY, Keys.ATOM_TYPE_KEY, Keys.CELL_KEY),
    *(Keys.EDGE_CELL_SHIFT_KEY, Keys.BATCH_KEY, Keys.NUM_NODES_KEY),
)


def model_of(name: str, mode: str) -> torch.nn.Module:
    """Hyper-parameters of the benchmark in the names of this package."""
    set_global_state(allow_tf32=False)
    common = {
        **{"seed": 0, "model_dtype": "float32", "type_names": TYPES, "r_max": CUTOFF},
        **{"avg_num_neighbors": MEAN_NEIGHBORS, "l_max": 2, "parity": True},
        **{"per_type_energy_scales": 1.0, "per_type_energy_shifts": 0.0},
        "compile_mode": "compile" if mode == "compile" else "eager",
    }
    if name == "nequip":
        radial = {"num_layers": 4, "num_bessels": 8, "bessel_trainable": False, "polynomial_cutoff_p": 6}
        width = {"num_features": 32, "radial_mlp_depth": 1, "radial_mlp_width": 64}
        return NequIPGNNModel(**{**common, **radial, **width})
    from allegro.model import AllegroModel

    sizes = {
        **{"num_layers": 2, "num_scalar_features": 64, "num_tensor_features": 64},
        **{"allegro_mlp_hidden_layers_depth": 1, "allegro_mlp_hidden_layers_width": 64},
        **{"readout_mlp_hidden_layers_depth": 1, "readout_mlp_hidden_layers_width": 64},
        "radial_chemical_embed": {"_target_": "allegro.nn.TwoBodyBesselScalarEmbed", "num_bessels": 8},
    }
    return AllegroModel(**{**common, **sizes})


class Nequip(Side):
    """NequIP or Allegro."""

    def __init__(self, model: str, mode: str, case: str) -> None:
        self.model = model_of(model, mode)
        self.parameters = sum(p.numel() for p in self.model.parameters())
        self.types = ChemicalSpeciesToAtomTypeMapper(model_type_names=TYPES)
        self.model.train(case == "train")
        self.inputs = None
        if case == "train":
            self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)
        elif mode == "aoti":
            self._compile(model)

    def _compile(self, name: str) -> None:
        """The calls of `nequip-compile --mode aotinductor --target ase`."""
        from nequip.nn.compile import DictInputOutputWrapper
        from nequip.scripts._compile_utils import AOTI_ASE_TARGET, COMPILE_TARGET_DICT
        from nequip.scripts.compile import _parse_bounds_to_Dim
        from nequip.utils.aot import aot_export_model

        target = COMPILE_TARGET_DICT[AOTI_ASE_TARGET]
        path = Path(sys.prefix) / f"{name}-{torch.get_num_threads()}-threads.nequip.pt2"
        if not path.exists():
            sizes = {"graph": "num_frames", "node": "num_nodes", "edge": "num_edges"}
            bounds = {k: _parse_bounds_to_Dim(n, "2,inf") for k, n in sizes.items()}
            aot_export_model(
                **{"model": self.model, "device": torch.device("cpu"), "output_path": str(path)},
                **{"input_fields": target["input"], "output_fields": target["output"]},
                data=target["data_settings"](self.prepare(structures("aspirin"))),
                batch_map=target["batch_map_settings"](bounds),
            )
        self.inputs = target["input"]
        self.model = DictInputOutputWrapper(
            torch._inductor.aoti_load_package(str(path)), target["input"], target["output"]
        )

    def prepare(self, frames: list) -> Any:
        found = []
        for atoms in frames:
            atoms = atoms.copy()
            atoms.calc = None
            data = from_ase(atoms)
            if not atoms.pbc.any():
                data[Keys.CELL_KEY] = 100.0 * torch.eye(3).unsqueeze(0)
            data = compute_neighborlist_(self.types(data), CUTOFF)
            if Keys.EDGE_CELL_SHIFT_KEY not in data:
                data[Keys.EDGE_CELL_SHIFT_KEY] = torch.zeros(data[Keys.EDGE_INDEX_KEY].shape[1], 3)
            found.append({k: data[k] for k in NEEDED if k in data})
        data = Keys.batched_from_list(found) if len(found) > 1 else found[0]
        return {k: v.to(torch.float32) if v.is_floating_point() else v for k, v in data.items()}

    def edges(self, batch: Any) -> int:
        return batch[Keys.EDGE_INDEX_KEY].shape[1]

    def evaluate(self, batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
        given = batch if self.inputs is None else {k: batch[k] for k in self.inputs}
        out = self.model(dict(given))
        return out[Keys.TOTAL_ENERGY_KEY].detach(), out[Keys.FORCE_KEY].detach()

    def train_step(self, batch: Any, energy: torch.Tensor, forces: torch.Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        out = self.model(dict(batch))
        loss(out[Keys.TOTAL_ENERGY_KEY], out[Keys.FORCE_KEY], (energy, forces)).backward()
        self.optimizer.step()


if __name__ == "__main__":
    serve(Nequip)
