"""A stretch of ring-polymer dynamics as the input of i-PI, in atomic units so that no factor is rounded twice.

PIMD     friction 2 λ ω_k on the mode of frequency ω_k of the free ring polymer, λ = 1
(PILE: Ceriotti, Parrinello, Markland, Manolopoulos, J. Chem. Phys. 133, 124104 (2010))
TRPMD    the same with λ = 0.5, and the centroid free
(Rossi, Ceriotti, Manolopoulos, J. Chem. Phys. 140, 234116 (2014))
RPMD     no thermostat (Craig, Manolopoulos, J. Chem. Phys. 121, 3368 (2004))
PIGLET   colored noise, from matrices of the user
"""

import ase.units
import numpy as np
from ase import Atoms

from equipot import units
from equipot.engines.ipi.gle import thermostat as gle_thermostat
from equipot.engines.settings import Dynamics, Phase

_TIME = (
    units.bohr * (units.electron_mass / units.hartree) ** 0.5
)  # of i-PI in that of ASE: all engines make one step
_FREE = 1e100  # fs; the damping time of a centroid that no thermostat touches
_BOX = 200.0  # Å; i-PI wants a cell, which a molecule does not feel

_INPUT = """\
<simulation verbosity='{verbosity}' threading='False' floatformat='%.16e'>
  {output}
  <total_steps> {steps} </total_steps>
  <prng><seed> {seed} </seed></prng>
  {forcefield}
  <system>
    <initialize nbeads='{beads}'>
      {initial}
    </initialize>
    <forces> <force forcefield='equipot'/> </forces>
    <ensemble>
      <temperature units='atomic_unit'> {energy!r} </temperature> <!-- {temperature:g} K -->
    </ensemble>
    <motion mode='dynamics'>
      <fixcom> False </fixcom>
      <dynamics mode='{mode}'>
        <timestep units='atomic_unit'> {dt!r} </timestep> <!-- {femtoseconds:g} fs -->
        {thermostat}
      </dynamics>
    </motion>
  </system>
</simulation>
"""

#: a force field that computes nothing, until the model takes its place
LIVE = "<ffdirect name='equipot' pbc='False'><pes>dummy</pes><batch_size> {beads} </batch_size></ffdirect>"
#: the model in a file, for i-PI by itself
ALONE = """<ffdirect name='equipot' pbc='False'>
    <pes> custom </pes> <pes_path> driver.py </pes_path>
    <parameters> {{ model: model.equipot, structure: start.extxyz }} </parameters>
    <batch_size> {beads} </batch_size> <!-- all of them in one call of the model -->
  </ffdirect>"""
SILENT = "<output prefix='unused'></output>"


def simulation(
    phase: Phase, settings: Dynamics, *, initial: str, forcefield: str, output: str = SILENT, seed: int
) -> str:
    """The whole input: a phase, where it starts, what computes it, and what is written."""
    kT = settings.temperature * units.kB / units.hartree
    element = thermostat(phase, settings)
    return _INPUT.format(
        verbosity="quiet" if output == SILENT else "medium",
        output=output,
        steps=10**9 if output == SILENT else phase.steps,
        seed=seed,
        forcefield=forcefield.format(beads=settings.beads),
        beads=settings.beads,
        initial=initial.replace("\n", "\n      "),
        energy=kT,
        temperature=settings.temperature,
        mode="nvt" if element else "nve",
        dt=settings.dt * ase.units.fs / _TIME,
        femtoseconds=settings.dt,
        thermostat=element,
    )


def thermostat(phase: Phase, settings: Dynamics) -> str:
    """Element of the thermostat; empty for constant energy."""
    if phase.method == "piglet":
        return gle_thermostat(settings.gle, settings.beads)
    if phase.thermostat is None and phase.method != "trpmd":
        return ""
    mode = "pile_g" if phase.thermostat == "bussi" else "pile_l"  # global or local on the centroid
    tau = (phase.tau or _FREE) / units.atomic_time
    damping = settings.pile_lambda if phase.method == "trpmd" else 1.0
    return (
        f"<thermostat mode='{mode}'> <tau units='atomic_unit'> {tau!r} </tau>"
        f" <pile_lambda> {damping!r} </pile_lambda> </thermostat>"
    )


def all_at(atoms: Atoms, beads: int) -> str:
    """Every bead where the atoms are; momenta of the internal modes drawn at P times the temperature."""
    positions = np.tile(atoms.positions / units.bohr, (beads, 1, 1))
    labels = f"<labels mode='manual'> [{', '.join(atoms.symbols)}] </labels>"
    return "\n".join(
        (
            f"<positions mode='manual' units='atomic_unit'> {_list(positions)} </positions>",
            _masses(atoms),
            labels,
            f"<cell mode='manual' units='atomic_unit'> {_list(cell(atoms).T / units.bohr)} </cell>",
            "<velocities mode='thermal'> -1 </velocities>",  # -1: at the temperature of the ensemble
        )
    )


def _masses(atoms: Atoms) -> str:
    masses = _list(atoms.get_masses() / units.electron_mass)
    return f"<masses mode='manual' units='atomic_unit'> {masses} </masses>"


def cell(atoms: Atoms) -> np.ndarray:
    """Rows a, b, c in Å, turned so that i-PI's matrix of columns is upper triangular; a box around a molecule."""
    if not atoms.pbc.any():
        return np.eye(3) * _BOX
    return np.asarray(atoms.cell.complete().standard_form()[0])


def _list(values: np.ndarray) -> str:
    return "[" + ", ".join(repr(float(x)) for x in np.ravel(values)) + "]"
