"""`equipot COMMAND`: what the commands have in common, which is how they end."""

import sys
import traceback
from pathlib import Path

import click
import typer

import equipot
from equipot.cli import demo, doctor, evaluate, info, inspect, md, spectrum, train, verify
from equipot.cli.screen import Failed, complain

app = typer.Typer(
    name="equipot",
    help="From a file of quantum-chemistry results to a trusted equivariant model, to dynamics, to spectra.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for module in (inspect, train, evaluate, verify, md, spectrum, info, doctor, demo):
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
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.ClickException as error:
        error.show()
        code = 2
    except click.Abort:
        complain("stopped.")
        code = 130
    except KeyboardInterrupt:
        complain("stopped.")
        code = 130
    except Failed as failure:
        code = failure.code
    except (ValueError, OSError) as error:
        if isinstance(error, OSError) and error.filename is None and error.errno is None:
            raise
        complain(str(error))
        code = 2
    except Exception as error:
        log = Path("error.log")
        log.write_text(traceback.format_exc(), encoding="utf-8")
        complain(f"this is our fault: {type(error).__name__}: {error}\nThe details are in {log.resolve()}.")
        code = 1
    sys.exit(code or 0)
