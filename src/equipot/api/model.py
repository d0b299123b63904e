"""A trained potential and what can be asked of it."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from jaxtyping import Float

from equipot.data.collate import batch_of, graph, refuse_unknown
from equipot.data.conditions import refuse_unseen
from equipot.data.frame import Frame
from equipot.data.labels import tabulate
from equipot.data.read import Frames, read
from equipot.data.sources import open_source
from equipot.deploy import fingerprints
from equipot.deploy.document import ModelDocument, Proof
from equipot.deploy.model_file import load as load_model_file
from equipot.deploy.model_file import save as save_model_file
from equipot.deploy.model_file import with_proofs
from equipot.engines.agreement import agreement, chosen
from equipot.engines.ase import Calculator
from equipot.engines.relax import Relaxation, relax
from equipot.evaluate.metrics import Comparison, evaluate
from equipot.evaluate.proofs import verify
from equipot.potential import Potential, born_charges
from equipot.train.run import Say

PLACES = ("positions", "numbers")  # what a file must have, whatever its labels


class Model:
    """A trained potential and the file that it came from."""

    def __init__(self, path: Path, potential: Potential, document: ModelDocument) -> None:
        self.path, self.potential, self.document = path, potential, document

    def calculator(self, **options: Any) -> Calculator:
        """An ASE calculator: energy, forces, stress, dipole, charges, and `polarizability` in results."""
        return Calculator(self.potential, **options)

    def __repr__(self) -> str:
        elements = " ".join(chemical_symbols[z] for z in self.potential.elements)
        name, targets = self.document.potential.model.name, ", ".join(self.potential.targets)
        return f"Model({str(self.path)!r}: {name} of {targets} for {elements})"

    def evaluate(
        self,
        data: str | Path | Frames,
        keys: Mapping[str, str | None] | None = None,
        units: Mapping[str, str] | None = None,
    ) -> dict[str, Comparison]:
        """Compare with the labels of a file, those of its targets that the file has.

        Args:
            data: structures with labels.
            keys: property -> name in the file, on top of those of the training.
            units: property -> unit of the file, likewise.
        """
        frames = data if isinstance(data, Frames) else read(data, **self.reading(data, keys, units))
        for frame in frames.structures:
            refuse_unseen(frame, self.potential.conditions_read)
        graphs = [graph(f, self.potential.cutoff) for f in frames.structures]
        names = [n for n in self.names if frames.count(n)]
        if not names:
            raise ValueError(
                f"{frames.path}: no label that this model predicts ({', '.join(self.names)}). See `equipot inspect`."
            )
        return evaluate(self.potential, graphs, names)

    @property
    def names(self) -> tuple[str, ...]:
        """Labels that it can be compared with."""
        return self.potential.config.targets.names()

    def relax(
        self,
        start: Atoms | str | Path,
        *,
        fmax: float = 0.01,
        steps: int = 1000,
        cell: bool = False,
        optimizer: str = "bfgs",
    ) -> Relaxation:
        """The minimum nearest to a structure, or to the last one of a file, in float64; its constraints are kept.

        Args:
            start: where to begin.
            fmax: largest force of an atom, eV/Å.
            steps: of the optimizer, at most.
            cell: relax the cell too, at zero pressure.
            optimizer: bfgs; lbfgs for thousands of atoms; fire where these fail.

        Raises `NotRelaxed`, a ValueError that carries the last structure, when `steps` are not enough.
        """
        atoms = start if isinstance(start, Atoms) else self.structures(start)[-1]
        return relax(self.potential, atoms, fmax, steps, cell, optimizer)

    def verify(
        self,
        frames: Sequence[Frame] | None = None,
        *,
        quick: bool = False,
        store: bool = True,
        engines: str | Sequence[str] = (),
        say: Say = lambda text: None,
    ) -> tuple[Proof, ...]:
        """Prove symmetries, derivatives, smoothness and conservation; the sheet goes into the model file.

        Without `frames` the structures of the training set that the file carries are taken. `engines`, by name or
        "all" that are installed, are held against the reference on them, too; those of all that refuse, `say` hears.
        """
        named = chosen(engines)
        if frames is None:
            frames = fingerprints.structures(self.potential, self.document.fingerprints, str(self.path))
        proofs = verify(self.potential, frames, quick=quick)
        if named:
            proofs += agreement(self.potential, frames, named, say if engines == "all" else None)
        if store:
            with_proofs(self.path, proofs)
            self.document = self.document.model_copy(update={"proofs": proofs})
        return proofs

    def born_charges(self, atoms: Atoms) -> Float[np.ndarray, "atoms 3 3"]:
        """Z*[i, a, b] = ∂M_a/∂r_ib of every atom, e, learned or by differentiating the dipole."""
        batch = batch_of([Frame.from_atoms(atoms)], self.potential.elements, self.potential.cutoff)
        return born_charges(self.potential, batch).detach().double().cpu().numpy()

    def double(self) -> Potential:
        """A float64 copy of the potential, for Hessians and proofs."""
        return copy.deepcopy(self.potential).double()

    def save(self, path: str | Path) -> Path:
        """Write the model with its document to a file, atomically, and only if it loads with the same numbers."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        save_model_file(path, self.potential, self.document)
        return path

    def last_structure(self, path: str | Path) -> Atoms:
        """The last frame of a file, as something to start from; refused when an element is unknown."""
        frame = read(path, **self.reading(path))[-1]
        refuse_unknown(frame, self.potential.elements)
        return frame.atoms()

    def structures(self, path: str | Path) -> list[Atoms]:
        """Every structure of a file with its constraints, masses, charge and spin; labels stay behind."""
        options = self.reading(path)
        places = {name: key for name, key in options["keys"].items() if key is not None}
        out = []
        for frame, raw in zip(read(path, **options), open_source(path, places).frames, strict=True):
            refuse_unknown(frame, self.potential.elements)
            atoms = replace(frame, labels={}).atoms()
            atoms.set_constraint(raw.atoms.constraints)
            if raw.atoms.has("masses"):
                atoms.new_array("masses", raw.atoms.arrays["masses"])
            out.append(atoms)
        return out

    def reading(
        self,
        path: str | Path,
        keys: Mapping[str, str | None] | None = None,
        units: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Options of `read` for a file of labels: those of the training, and on top what is given.

        Names that the training used and this file does not have are left out, so that a file with some of the
        labels can be compared with.
        """
        data = self.document.run.get("data")
        stored: dict[str, Any] = data if isinstance(data, dict) else {}
        used: dict[str, str | None] = dict(stored.get("keys") or {})
        places = {n: k for n, k in used.items() if n in PLACES and k is not None}
        there = {*tabulate(open_source(path, places)), None, *places.values()}
        tensors = self.potential.config.targets.shapes()
        chosen = {**{n: k for n, k in used.items() if k in there}, **(keys or {})}
        return {
            "keys": chosen,
            "units": {**(stored.get("units") or {}), **(units or {})},
            "components": stored.get("components") or {},
            "symmetrize": stored.get("symmetrize") or (),
            "tensors": {n: shape for n, shape in tensors.items() if chosen.get(n, n) in there or n in chosen},
        }


def load(path: str | Path, device: str = "cpu") -> Model:
    """Open a model file: checked, rebuilt from the closed list of architectures, fingerprints recomputed."""
    potential, document = load_model_file(path, device=device)
    return Model(Path(path), potential, document)
