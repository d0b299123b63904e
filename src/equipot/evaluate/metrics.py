"""How far predictions are from labels."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from ase.data import chemical_symbols

from equipot.batch import AtomicBatch
from equipot.data.collate import Graph, collate, collate_labels
from equipot.evaluate.batches import EDGES_PER_BATCH, batches
from equipot.evaluate.predict import predict_batch, with_absent
from equipot.potential import Potential
from equipot.properties import Properties
from equipot.units import INTERNAL

PER_ATOM = ("forces", "charges", "born_charges")
Observer = Callable[[AtomicBatch, Properties, Properties], None]  # batch, labels, predictions


@dataclass(frozen=True)
class Errors:
    """Mean absolute and root mean square error over all components of a target, in its internal unit."""

    mae: float
    rmse: float
    count: int  # labelled numbers

    @classmethod
    def of(cls, residual: np.ndarray) -> "Errors":
        """Of any array of residuals; NaN, unknown, when there are none."""
        if residual.size == 0:
            return cls(float("nan"), float("nan"), 0)
        return cls(float(np.abs(residual).mean()), float(np.sqrt((residual**2).mean())), residual.size)


@dataclass(frozen=True)
class Comparison:
    """Labels and predictions of one target, row by row: a row is an atom or a system."""

    label: np.ndarray  # [rows, components]
    predicted: np.ndarray  # [rows, components]
    frame: np.ndarray  # [rows] index of the structure
    atoms: np.ndarray  # [rows] atoms of that structure
    element: np.ndarray | None  # [rows] atomic number, for targets of atoms
    unit: str

    @property
    def errors(self) -> Errors:
        """Over everything."""
        return Errors.of(self.predicted - self.label)

    def per_element(self) -> dict[str, Errors]:
        """Over the atoms of each element; empty for targets of systems."""
        if self.element is None:
            return {}
        residual = self.predicted - self.label
        return {chemical_symbols[z]: Errors.of(residual[self.element == z]) for z in np.unique(self.element)}

    def per_atom(self) -> Errors:
        """Of the value divided by the number of atoms, for extensive targets."""
        return Errors.of((self.predicted - self.label) / self.atoms[:, None])


Evaluation = Mapping[str, Comparison]


def evaluate(
    potential: Potential,
    graphs: Sequence[Graph],
    names: Sequence[str],
    *,
    edges_per_batch: float = EDGES_PER_BATCH,
    observe: Observer | None = None,
) -> dict[str, Comparison]:
    """Compare a potential with the labels of some structures; a target without any label is left out.

    `observe` sees every batch with its labels and what was predicted, on the device of the potential. ValueError before
    the first batch when a structure does not fit the memory.
    """
    rows: dict[str, list[tuple[np.ndarray, ...]]] = {n: [] for n in names}
    start = 0
    for chunk in batches(potential, graphs, names, edges_per_batch):
        batch = collate(chunk, potential.elements).to(next(potential.parameters()).device)
        labels = collate_labels(chunk, names)
        found = predict_batch(potential, batch, names)
        if observe is not None:
            observe(batch, labels.to(batch.positions.device), found)
        predicted = with_absent(found, batch, names).to("cpu")
        system, count = batch.system.cpu().numpy(), batch.atoms_per_system().cpu().numpy()
        numbers = np.array(potential.elements)[batch.species.cpu().numpy()]
        for name, label in labels.items():
            value = predicted.get(name)
            assert value is not None
            known = ~torch.isnan(label).reshape(label.shape[0], -1).any(-1).numpy()
            per_atom = label.shape[0] == batch.num_atoms and not _is_system_target(name, potential)
            frame = system if per_atom else np.arange(batch.num_systems)
            element = numbers if per_atom else np.zeros(len(frame), dtype=int)
            flat = [t.double().numpy().reshape(len(frame), -1)[known] for t in (label, value)]
            rows[name].append((*flat, frame[known] + start, count[frame][known], element[known]))
        start += len(chunk)
    return {n: _joined(r, n, potential) for n, r in rows.items() if sum(len(x[0]) for x in r)}


def table(evaluation: Evaluation) -> dict[str, dict[str, float | int | str]]:
    """Plain numbers, for JSON and for the model file."""
    out: dict[str, dict[str, float | int | str]] = {}
    for name, comparison in evaluation.items():
        errors = comparison.errors
        out[name] = {"mae": errors.mae, "rmse": errors.rmse, "count": errors.count, "unit": comparison.unit}
        if name == "energy":
            out[name]["mae_per_atom"] = comparison.per_atom().mae
            out[name]["rmse_per_atom"] = comparison.per_atom().rmse
    return out


def _is_system_target(name: str, potential: Potential) -> bool:
    declared = potential.config.targets.tensors
    return declared[name].per == "system" if name in declared else name not in PER_ATOM


def _joined(rows: list[tuple[np.ndarray, ...]], name: str, potential: Potential) -> Comparison:
    label, predicted, frame, atoms, element = (np.concatenate(column) for column in zip(*rows, strict=True))
    declared = potential.config.targets.tensors
    unit = declared[name].unit if name in declared else INTERNAL[name]
    return Comparison(
        label, predicted, frame, atoms, None if _is_system_target(name, potential) else element, unit
    )
