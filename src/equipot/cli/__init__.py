"""The command line, one file a command."""

from equipot.cli.main import main

__all__ = ["main"]
