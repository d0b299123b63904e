"""What a user of LAMMPS needs beside a model file: an input to start from, and the atoms in LAMMPS's form."""

import shutil
from importlib.resources import files
from pathlib import Path
from string import Template

from ase import Atoms
from ase.data import atomic_masses, atomic_numbers, chemical_symbols
from ase.io.lammpsdata import write_lammps_data

from equipot.data.collate import refuse_unknown
from equipot.data.frame import Frame
from equipot.deploy.atomic import write_atomically
from equipot.deploy.model_file import save
from equipot.engines.lammps.interface import refuse_indivisible
from equipot.engines.lammps.system import boxed
from equipot.potential import Potential

INPUT, DATA, MODEL = "in.lammps", "start.data", "model.equipot"
PACKAGE, PLUGIN = "model.pt2", "equipotplugin.so"

PYTHON = {
    "program": "python -m equipot.engines.lammps",
    "about": "# python -m equipot.engines.lammps is lmp with pair_style equipot; it takes all options of lmp.",
    "plugin": "",
    "style": "equipot",
    "file": MODEL,
}
NO_PYTHON = {
    "program": "lmp",
    "about": "# The model was compiled for the processor and the PyTorch of the machine that exported it.",
    "plugin": f"plugin          load ./{PLUGIN}\n",
    "style": "equipot/package",
    "file": PACKAGE,
}


def export(
    potential: Potential, folder: Path, start: Atoms | None = None, python_free: bool = False
) -> list[Path]:
    """Write model.equipot, in.lammps and, of a structure, start.data; returns the files.

    `python_free`: the model compiled by PyTorch, and a plugin that runs it in `lmp` itself; minutes.

    Raises ValueError for a model that cannot be divided among processes, and for a structure that it does not know.
    """
    refuse_indivisible(potential)
    folder.mkdir(parents=True, exist_ok=True)
    known = [chemical_symbols[z] for z in potential.elements]
    elements = known
    out = [folder / MODEL, folder / INPUT]
    save(folder / MODEL, potential)
    if python_free:
        out += _without_python(potential, folder)
    if start is not None:
        refuse_unknown(Frame.from_atoms(start), potential.elements)
        elements = [e for e in known if e in start.symbols]
        out.append(folder / DATA)
        with out[-1].open("w", encoding="utf-8") as file:
            write_lammps_data(
                file, boxed(start), specorder=elements, masses=True, units="metal", atom_style="atomic"
            )
    pbc = (True, True, True) if start is None else start.pbc
    text = Template((files("equipot.engines.lammps") / "in.template").read_text(encoding="utf-8")).substitute(
        model=f"The {potential.config.model.name} model of this folder",
        boundary=" ".join("p" if periodic else "s" for periodic in pbc),
        data=DATA
        if start is not None
        else f"{DATA}                 # yours, types in the order of pair_coeff",
        known=", ".join(known),
        elements=" ".join(elements),
        **(NO_PYTHON if python_free else PYTHON),
        masses="" if start is not None else _masses(elements),
    )
    write_atomically(folder / INPUT, text.encode())
    return out


def _without_python(potential: Potential, folder: Path) -> list[Path]:
    from equipot.engines.lammps.package import write_package
    from equipot.engines.lammps.plugin import plugin_file

    package, plugin = folder / PACKAGE, folder / PLUGIN
    write_package(potential, package)
    shutil.copyfile(plugin_file(package=True), plugin)
    return [package, plugin]


def _masses(elements: list[str]) -> str:
    rows = [f"mass            {k + 1} {atomic_masses[atomic_numbers[e]]:g}" for k, e in enumerate(elements)]
    return "\n".join([*rows, ""])
