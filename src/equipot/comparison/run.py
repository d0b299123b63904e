"""A comparison from its first run to its table."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import torch

from equipot.comparison.columns import runs_csv, table_csv
from equipot.comparison.config import CompareConfig
from equipot.comparison.course import ERRORS, Course, Observe
from equipot.comparison.machine import processor
from equipot.comparison.measure import Contender, costs
from equipot.comparison.page import write_page
from equipot.comparison.prepare import Prepared, prepare
from equipot.comparison.said import Once
from equipot.comparison.table import FILE, Conditions, ModelTable, Row, RunRecord, scores
from equipot.deploy.atomic import write_atomically
from equipot.deploy.document import versions
from equipot.deploy.model_file import load
from equipot.train.begin import Say
from equipot.train.distributed import join


def compare(config: CompareConfig, folder: Path, *, observe: Observe, say: Say) -> ModelTable:
    """Train what is not trained yet, measure all of it side by side, and write the table."""
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise ValueError(
            "a comparison runs in one process, so that step times compare. Start it without torchrun."
        )
    prepared = prepare(config, folder)
    prepared.claim()
    course = Course(prepared, observe, Once(say))
    records = course.run()
    if not any(r.status == "finished" for r in records):
        say(f"No run has worked; each one's {ERRORS} is in its folder under {folder / 'runs'}.")
        raise course.errors[0]
    say("Measuring speed and memory, all models in turn.")
    table = _tabulate(prepared, records)
    write(table, folder)
    return table


def write(table: ModelTable, folder: Path) -> tuple[Path, ...]:
    """JSON, CSV of architectures and of runs, and the page."""
    texts = {
        FILE: json.dumps(table.as_dict(), indent=1, ensure_ascii=False) + "\n",
        "comparison.csv": table_csv(table),
        "runs.csv": runs_csv(table),
    }
    for name, text in texts.items():
        write_atomically(folder / name, text.encode())
    return (write_page(table, folder), *(folder / name for name in texts))


def _tabulate(prepared: Prepared, records: list[RunRecord]) -> ModelTable:
    first = {job.label: job for job in reversed(prepared.jobs)}
    device = join(prepared.config.train.device).device
    contenders: dict[str, Contender] = {}
    for record in (r for r in records if r.status == "finished" and r.label not in contenders):
        potential, _ = load(prepared.folder / record.folder / "model.equipot")
        recipe = first[record.label].config.train
        contenders[record.label] = Contender(potential, recipe, record.batch or 1)
    found, failed = costs(contenders, prepared.splits.train, prepared.splits.test, device)
    rows = []
    for label, job in first.items():
        own = tuple(r for r in records if r.label == label)
        model = job.config.model
        rows.append(
            Row(
                label=label,
                architecture=model.name,
                settings=model.model_dump(mode="json"),
                runs=own,
                scores=scores([r for r in own if r.status == "finished"]),
                cost=found.get(label),
                message=failed.get(label, ""),
            )
        )
    return ModelTable.of(rows, _conditions(prepared, device), prepared.config.model_dump(mode="json"))


def _conditions(prepared: Prepared, device: torch.device) -> Conditions:
    return Conditions(
        data={file["name"]: file["sha256"] for file in prepared.split["files"]},
        split=prepared.splits.sizes(),
        budget=prepared.config.length,
        seeds=prepared.config.numbers(),
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        processor=processor(),
        threads=torch.get_num_threads(),
        versions=versions(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
