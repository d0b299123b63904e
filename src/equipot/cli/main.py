"""`equipot COMMAND`: what the commands have in common, which is how they end."""

import sys
import traceback
from pathlib import Path

import typer
from typer.exceptions import TyperException

import equipot
from equipot.cli import (
    compare,
    demo,
    doctor,
    evaluate,
    export,
    info,
    inspect,
    md,
    phonons,
    relax,
    spectrum,
    train,
    verify,
)
from equipot.cli.screen import Failed, complain
from equipot.engines.guard import DynamicsStopped
from equipot.train.loop import Diverged

app = typer.Typer(
    name="equipot",
    help="From a file of quantum-chemistry results to a trusted equivariant model, to dynamics, to spectra.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for module in (
    inspect, train, compare, evaluate, verify, md, spectrum, relax, phonons, export, info, doctor, demo,
):  # fmt: skip
    name = module.__name__.rpartition(".")[2]
    app.command(name)(getattr(module, name))


@app.callback(invoke_without_command=True)
def _version(version: bool = typer.Option(False, "--version", help="Print the version and stop.")) -> None:
    if version:
        print(equipot.__version__)
        raise typer.Exit


def main(arguments: list[str] | None = None) -> None:
    """Run a command. Exit codes: 0 done, 2 the user's mistake, 3 a proof failed, 1 our fault."""
    try:
        code = app(args=arguments, standalone_mode=False)
        if code == 130:  # Ctrl-C that no command caught
            complain("stopped.")
    except typer.Exit as stop:
        code = stop.exit_code
    except TyperException as error:
        complain(f"{error.format_message().removesuffix('.')}. See --help.")
        code = 2
    except (typer.Abort, KeyboardInterrupt):
        complain("stopped.")
        code = 130
    except Failed as failure:
        code = failure.code
    except Exception as error:
        code = _report(error)
    sys.exit(code or 0)


def _report(error: Exception) -> int:
    """Say what went wrong: in one message when it is about the user's input, with a traceback in a file when not."""
    if isinstance(error, DynamicsStopped | Diverged | OSError) or (
        isinstance(error, ValueError) and _ours(error)
    ):
        complain(str(error))
        return 2
    log = Path("error.log")
    log.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    complain(f"this is our fault: {type(error).__name__}: {error}\nThe details are in {log.resolve()}.")
    return 1


def _ours(error: Exception) -> bool:
    """Whether equipot itself raised it, and so knew what it was saying; a library's ValueError is a bug of ours."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and Path(frames[-1].filename).is_relative_to(Path(equipot.__file__).parent)
