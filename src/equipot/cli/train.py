"""`equipot train`."""

from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from equipot import api
from equipot.cli.keys import explain
from equipot.cli.keys import schema as schema_text
from equipot.cli.options import AsJson, Out, Overrides, Quiet
from equipot.cli.screen import Failed, as_json, call, errors_table, out, progress, say, show_drift
from equipot.config import override
from equipot.evaluate.report import write_report
from equipot.train.config import SHORT, RunConfig
from equipot.train.distributed import leads
from equipot.train.loop import Interrupted


def _explain(key: str | None) -> str | None:
    if key is not None:
        say(explain(key))
        raise typer.Exit
    return key


def _schema(wanted: bool) -> bool:
    if wanted:
        say(schema_text())
        raise typer.Exit
    return wanted


def train(
    source: Annotated[
        Path, typer.Argument(help="A configuration (YAML), or a data file to train on as it is.")
    ],
    overrides: Overrides = None,
    folder: Out = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the resolved configuration and stop.")
    ] = False,
    key: Annotated[
        str | None,
        typer.Option(
            "--explain",
            metavar="KEY",
            is_eager=True,
            callback=_explain,
            help="Explain a key, a section such as train, and stop.",
        ),
    ] = None,
    schema: Annotated[
        bool,
        typer.Option(
            "--schema",
            is_eager=True,
            callback=_schema,
            help="Print the JSON schema of a configuration, for editors, and stop.",
        ),
    ] = False,
    quiet: Quiet = False,
    json_: AsJson = False,
) -> None:
    """Train a model. Started again with the same settings, it goes on where it was stopped or killed.

    Examples: `equipot train config.yaml`, `equipot train data.xyz targets.dipole={} train.budget=10min`.
    Fine-tuning: `equipot train new.xyz start=model.equipot`, more about it by `--explain start`.
    On several processes: `torchrun --nproc-per-node 2 -m equipot train config.yaml`.
    """
    config = api.run_config(source, overrides or [])
    if dry_run:
        _preview(config)
        return
    target = folder or api.default_folder(config)
    silent = quiet or json_ or not leads()
    start, others = _start(overrides or [])
    say(f"Python: {call('equipot.train', source, out=target, start=start, assignments=others)}", quiet=silent)
    try:
        with progress("training", quiet=silent) as observe:
            run = api.train(config, target, observe=observe, say=lambda text: say(text, quiet=silent))
    except Interrupted:
        say(
            f"Stopped at a safe point. To go on: equipot train {source} {' '.join(overrides or [])} --out {target}"
        )
        raise Failed(130) from None
    if not run.leads:
        return
    report = write_report(target)
    if json_:
        as_json({"model": str(run.model), "report": str(report), "metrics": run.metrics})
        return
    for part in ("valid", "test"):
        if part in run.metrics and not quiet:
            out.print(errors_table(f"\n{part}", run.metrics[part]))
    if "drift" in run.metrics and not quiet:
        show_drift(run.metrics["drift"])
    say(f"\nmodel   {run.model}\nreport  {report}", quiet=quiet)
    say(f"next    equipot verify {run.model}", quiet=quiet)


def _preview(config: RunConfig) -> None:
    """The resolved configuration; targets that depend on what the file has are left to the training."""
    open_targets = config.start is not None and "targets" not in config.model_fields_set
    values = config.model_dump(mode="json", exclude={"targets"} if open_targets else None)
    say(yaml.safe_dump(values, sort_keys=False, allow_unicode=True))
    if open_targets and config.start is not None:
        say(f"# targets: those of {config.start.model} for which {config.data.train} has labels")


def _start(overrides: list[str]) -> tuple[Any, list[str]]:
    """What the command line says of `start`, as Python would, and the other assignments."""
    own = [text for text in overrides if text.partition("=")[0].partition(".")[0] == "start"]
    start = override({}, own, SHORT).get("start")
    if isinstance(start, dict) and "model" not in start:  # more about the section of a file
        return None, overrides
    return start, [text for text in overrides if text not in own]
