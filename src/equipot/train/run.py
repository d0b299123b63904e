"""One training run from its configuration to its model file."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from equipot.config import parse, read_yaml
from equipot.data.collate import Graph
from equipot.data.write import write
from equipot.deploy.atomic import write_atomically
from equipot.deploy.checkpoints import latest_valid, load_state, save_state
from equipot.deploy.document import DataFile, ModelDocument, Provenance, versions
from equipot.deploy.model_file import describe, save
from equipot.evaluate.batches import batches
from equipot.evaluate.metrics import evaluate, table
from equipot.potential import Potential
from equipot.train.begin import Beginning, Say, from_scratch, resolved
from equipot.train.config import RunConfig
from equipot.train.dataset import Splits, load
from equipot.train.distributed import Process, join
from equipot.train.finetune import taken_over, tune
from equipot.train.loop import Observer, Trainer
from equipot.train.memory import in_parts, still_fits, training_room
from equipot.train.parent import Parent, open_parent
from equipot.train.plan import Plan, median_seconds, plan
from equipot.train.trial import trial
from equipot.train.tuning import Tuning


@dataclass(frozen=True)
class Run:
    """What a finished run leaves."""

    folder: Path
    model: Path
    splits: Splits
    metrics: dict[str, Any]
    leads: bool = True  # of several processes, only one speaks and writes


def train(
    config: RunConfig, folder: Path, *, observe: Observer, say: Say, splits: Splits | None = None
) -> Run:
    """Train as configured; started again in the same folder, it goes on where it was.

    `splits` are the frames of `config.data`, where the caller has read them already.
    """
    process = join(config.train.device)
    say = say if process.leads else _silent
    observe = observe if process.leads else _unobserved
    try:
        return _train(config, folder, process, observe, say, splits)
    finally:
        process.leave()


def _train(
    config: RunConfig, folder: Path, process: Process, observe: Observer, say: Say, splits: Splits | None
) -> Run:
    parent, optional = None, ()
    if config.start is not None:
        config, parent = open_parent(config, folder)
        config, optional = taken_over(config, parent)
    splits = splits or load(config.data, config.targets, optional)
    config = resolved(config, splits, optional)
    refuse_other(folder / "config.yaml", config.model_dump(mode="json"), "run")
    if parent is None:
        begun, tuning = from_scratch(config, splits, process, say), None
    else:
        begun, tuning = tune(config, parent, splits, process, say)
    trainer = _trainer(begun, config, folder, process, say)
    _claim(folder, config, parent, process)
    if splits.excluded and process.leads:
        write(folder / "excluded.xyz", splits.excluded)
        say(f"The frames that are left out are in {folder / 'excluded.xyz'}.")
    if not trainer.finished:
        trainer.run(
            observe, _logger(folder, process), lambda t: _checkpoint(t, config, splits, tuning, folder)
        )
    return _finish(trainer, config, folder, splits, begun, tuning)


def _trainer(begun: Beginning, config: RunConfig, folder: Path, process: Process, say: Say) -> Trainer:
    """A trainer at the step of its newest checkpoint, or a new one with a new plan."""
    potential, graphs, names = begun.potential, begun.graphs, begun.names
    for part in ("valid", "test"):
        batches(potential, graphs[part], names)  # refuses what does not fit
    path, skipped = latest_valid(folder / "checkpoints", "step-*.safetensors")
    for file, reason in skipped:
        say(f"Passed over {file}: {reason}")
    if path is None:
        settled = settle(potential, graphs["train"], graphs["valid"], names, config, process)
        _say_parts(settled, graphs["train"], process, say)
        return Trainer(potential, graphs["train"], graphs["valid"], names, config.train, settled, process)
    tensors, record = load_state(path)
    stored = parse(Plan, record["plan"], str(path))
    settled = still_fits(stored, potential, graphs["train"], names, config.train, process)
    _say_parts(settled, graphs["train"], process, say)
    if stored.room is not None and settled.room != stored.room:
        say(
            "There is less memory than at the start: from here on equal to an uninterrupted run to round-off."
        )
    trainer = Trainer(potential, graphs["train"], graphs["valid"], names, config.train, settled, process)
    trainer.load(tensors, record)
    if process.leads:
        _rewind(folder / "log.jsonl", trainer.step)
    if trainer.finished:
        say(f"{folder}: this training is finished; its errors are measured again.")
    else:
        say(f"Continuing from step {trainer.step} of {settled.num_steps} ({path}).")
    return trainer


def _say_parts(settled: Plan, train: Sequence[Graph], process: Process, say: Say) -> None:
    text = in_parts(settled, train, process.world)
    if text:
        say(text)


def settle(
    potential: Potential,
    train: list[Graph],
    valid: list[Graph],
    names: Sequence[str],
    config: RunConfig,
    process: Process,
) -> Plan:
    """Plan with step times measured on a copy, so that measuring leaves no trace in the run."""
    room = training_room(potential, train, names, config.train, process)

    def seconds(batch: int) -> float:
        trainer = trial(potential, train, names, config.train, process.device, batch, room=room)
        per_process = max(1, batch // process.world)
        return median_seconds(lambda: trainer.take(list(range(min(per_process, len(train))))))

    def validation() -> float:
        trainer = trial(potential, train, names, config.train, process.device, 1, valid)
        return median_seconds(trainer.validation, repetitions=1)

    found = plan(
        config.train,
        config.model.name,
        len(train),
        process.world,
        lambda b: process.agree(seconds(b)),
        validation=lambda: process.agree(validation()),
        tuning=config.start is not None,
    )
    return found.model_copy(update={"room": room})


def _finish(
    trainer: Trainer,
    config: RunConfig,
    folder: Path,
    splits: Splits,
    begun: Beginning,
    tuning: Tuning | None,
) -> Run:
    selection = trainer.select()
    metrics: dict[str, Any] = {"selection": selection}
    for part in ("valid", "test"):
        if begun.graphs[part]:
            metrics[part] = table(evaluate(trainer.potential, begun.graphs[part], config.targets.names()))
    if tuning is not None:
        metrics |= tuning.report(trainer.potential, begun.graphs)
    model = folder / "model.equipot"
    if trainer.process.leads:
        document = _document(trainer, config, splits, tuning, metrics)
        save(model, trainer.potential, document)
    trainer.process.barrier()
    return Run(folder, model, splits, metrics, leads=trainer.process.leads)


def _document(
    trainer: Trainer, config: RunConfig, splits: Splits, tuning: Tuning | None, metrics: dict[str, Any]
) -> ModelDocument:
    """What the model file says of this run."""
    files, sizes = splits.files, splits.sizes()
    if tuning is not None and tuning.old.files:
        files, sizes = (*files, *tuning.old.files), {**sizes, "replayed": len(tuning.old.replayed)}
    return describe(
        trainer.potential,
        splits.train,
        run=config.model_dump(mode="json"),
        metrics=metrics,
        provenance=Provenance(
            ancestors=() if tuning is None else tuning.parent.ancestors,
            data=tuple(DataFile.of(p) for p in files),
            split=sizes,
            split_seed=config.data.split.seed,
            seed=config.train.seed,
            versions=versions(),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            device=str(trainer.process.device),
            seconds=round(trainer.seconds, 1),
        ),
    )


def _rewind(log: Path, step: int) -> None:
    """Drop what was logged after the checkpoint: these steps are taken again."""
    if log.exists():
        lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
        log.write_text(
            "".join(x for x in lines if x.endswith("\n") and json.loads(x)["step"] <= step), encoding="utf-8"
        )


def refuse_other(stored: Path, values: dict[str, Any], what: str) -> None:
    """Make sure that what is in a folder, by the configuration stored there, is what is asked for now."""
    if not stored.exists():
        return
    different = _differences(_completed(read_yaml(stored), stored), values)
    if different:
        listing = "\n".join(f"  {key}: {a!r} there, {b!r} now" for key, a, b in different[:12])
        raise ValueError(
            f"{stored.parent}: holds a {what} with another configuration:\n{listing}\n"
            "Choose another folder with --out, or remove this one."
        )


def _completed(values: dict[str, Any], path: Path) -> dict[str, Any]:
    """A stored run with the keys that did not exist when it was written, at their defaults."""
    try:
        return parse(RunConfig, values, str(path)).model_dump(mode="json")
    except ValueError:  # not that of a run
        return values


def _claim(folder: Path, config: RunConfig, parent: Parent | None, process: Process) -> None:
    """Make the folder ours. It happens when nothing is left to refuse: a mistake leaves no folder behind."""
    if process.leads:
        folder.mkdir(parents=True, exist_ok=True)
        if parent is not None:
            parent.keep(folder)
        text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
        write_atomically(folder / "config.yaml", text.encode())
    process.barrier()


def _differences(a: Any, b: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    if isinstance(a, dict) and isinstance(b, dict):
        keys = sorted({*a, *b})
        return [d for k in keys for d in _differences(a.get(k), b.get(k), f"{path}.{k}" if path else k)]
    return [] if a == b else [(path, a, b)]


def _checkpoint(
    trainer: Trainer, config: RunConfig, splits: Splits, tuning: Tuning | None, folder: Path
) -> None:
    """A model file that can be used as it is, and beside it what a continuation needs; the last few are kept."""
    if not trainer.process.leads:
        return
    place = folder / "checkpoints"
    place.mkdir(parents=True, exist_ok=True)
    name = f"step-{trainer.step:09d}"
    save(place / f"{name}.equipot", trainer.potential, _document(trainer, config, splits, tuning, {}))
    save_state(place / f"{name}.safetensors", *trainer.state())
    for kind in ("equipot", "safetensors"):
        for path in sorted(place.glob(f"step-*.{kind}"))[: -trainer.config.keep_checkpoints]:
            path.unlink()


def _logger(folder: Path, process: Process) -> Callable[[dict[str, Any]], None]:
    def log(record: dict[str, Any]) -> None:
        if process.leads:
            with (folder / "log.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")

    return log


def _silent(_: str) -> None:
    return


def _unobserved(step: int, total: int, text: str) -> None:
    return
