"""`python -m equipot`, which torchrun needs."""

from equipot.cli import main

main()
