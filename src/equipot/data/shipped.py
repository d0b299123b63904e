"""The data set that comes with the package: ethanol, B3LYP/6-31G(d), for the demo and for trying things out."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any


def ethanol() -> Path:
    """Energies, forces, dipoles and polarizabilities in extended XYZ; the isolated atoms are in it."""
    return Path(str(files("equipot") / "data" / "demo" / "ethanol.extxyz.xz"))


def ethanol_harmonic() -> dict[str, dict[str, Any]]:
    """Both conformers at the same level: geometry, energy, harmonic frequencies, infrared and Raman intensities."""
    text = (files("equipot") / "data" / "demo" / "ethanol_harmonic.json").read_text(encoding="utf-8")
    return json.loads(text)["conformers"]
