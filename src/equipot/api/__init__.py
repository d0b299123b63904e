"""The nouns and verbs of equipot in Python; the command line is made of these."""

from equipot.api.dynamics import export, md
from equipot.api.model import Model, load
from equipot.api.training import compare, compare_folder, default_folder, run_config, train
from equipot.api.vibrations import first_structure, harmonic, phonons, recorded, relax, report_of
from equipot.comparison.request import request as compare_config
from equipot.comparison.table import ModelTable
from equipot.data.doctor import inspect
from equipot.data.read import read
from equipot.engines.settings import Dynamics
from equipot.spectra.beside import spectrum_beside
from equipot.spectra.checks import KINDS
from equipot.spectra.measured import read_measured
from equipot.spectra.phonons.result import Born
from equipot.spectra.spectrum import spectrum

__all__ = [
    "KINDS",
    "Born",
    "Dynamics",
    "Model",
    "ModelTable",
    "compare",
    "compare_config",
    "compare_folder",
    "default_folder",
    "export",
    "first_structure",
    "harmonic",
    "inspect",
    "load",
    "md",
    "phonons",
    "read",
    "read_measured",
    "recorded",
    "relax",
    "report_of",
    "run_config",
    "spectrum",
    "spectrum_beside",
    "train",
]
