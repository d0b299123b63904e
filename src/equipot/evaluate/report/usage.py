"""How to use the model."""

from equipot.evaluate.report.material import Material
from equipot.evaluate.report.page import Section, code

_COMMANDS = """\
equipot evaluate model.equipot test.xyz          # errors on other structures
equipot verify model.equipot train.xyz           # the proofs
"""
_DYNAMICS = """\
equipot md model.equipot start.xyz --temperature 300 --time 50
equipot spectrum md                              # from the folder that dynamics wrote
"""
_PYTHON = """\
import ase.io
import equipot

model = equipot.load("model.equipot")
atoms = ase.io.read("start.xyz")
atoms.calc = model.calculator()
"""
_PYTHON_DYNAMICS = """\
run = equipot.md(model, atoms, {"temperature": 300, "time": 50}, "md")
equipot.spectrum(run).write("spectra")
"""
_CALLS = {
    "energy": "atoms.get_potential_energy()  # eV",
    "forces": "atoms.get_forces()  # eV/Å",
    "charges": "atoms.get_charges()  # e",
    "dipole": "atoms.get_dipole_moment()  # e·Å",
    "born_charges": 'atoms.calc.results["born_charges"]  # e, [atom, dipole, position]',
    "polarizability": 'atoms.calc.results["polarizability"]  # Å³',
}


def section(material: Material) -> Section:
    """Commands, Python, and what to cite."""
    names = material.potential.config.targets.names()
    calls = "".join(f"{call}\n" for name, call in _CALLS.items() if name in names)
    moves = "energy" in names
    parts = ["<h3>On the command line</h3>", code(_COMMANDS + _DYNAMICS * moves)]
    parts += ["<h3>In Python</h3>", code(_PYTHON + calls + _PYTHON_DYNAMICS * moves)]
    if material.document.citation:
        parts += ["<h3>To cite</h3>", code(material.document.citation)]
    return Section("use", "How to use it", parts)
