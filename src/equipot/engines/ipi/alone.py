"""What it takes to run such ring polymers with i-PI by itself: all but the removal of rigid motion between the phases.

FOLDER/1-pimd.xml      thermalization, ends with pimd.checkpoint
FOLDER/2-trpmd.xml     production, begins from it
FOLDER/start.extxyz    where all beads begin
FOLDER/driver.py       loads model.equipot beside it
"""

from collections.abc import Collection
from pathlib import Path

import ase.io
from ase import Atoms

from equipot.deploy.atomic import write_atomically
from equipot.engines.ipi import inputs
from equipot.engines.ipi.beads import EXTRAS
from equipot.engines.settings import Dynamics

_DRIVER = '''\
"""The model in this folder, as i-PI loads it: <pes> custom </pes> <pes_path> driver.py </pes_path>."""

from equipot.engines.ipi.driver import __DRIVER_CLASS__, __DRIVER_NAME__, Driver  # noqa: F401
'''

_OUTPUT = """<output prefix='{name}'>
    <properties stride='{stride}' filename='out'>
      [ step, time{{femtosecond}}, conserved{{electronvolt}}, temperature(nm=0){{kelvin}}, potential{{electronvolt}},
        kinetic_cv{{electronvolt}} ]
    </properties>
    <trajectory stride='{stride}' filename='centroid' format='ase'> x_centroid{{ase}} </trajectory>
    <trajectory stride='{stride}' filename='velocity' format='xyz'> v_centroid </trajectory>{extras}
    <checkpoint filename='checkpoint' stride='{steps}' overwrite='True'/>
  </output>"""
_EXTRA = """
    <trajectory stride='{stride}' filename='{what}' flush='100' extra_type='{what}'> extras </trajectory>"""


def write_inputs(folder: Path, atoms: Atoms, settings: Dynamics, targets: Collection[str]) -> list[Path]:
    """Inputs of all phases with what they read, except model.equipot; returns the inputs."""
    folder.mkdir(parents=True, exist_ok=True)
    recorded = [name for name in EXTRAS if name in targets]
    ase.io.write(folder / "start.extxyz", atoms)
    write_atomically(folder / "driver.py", _DRIVER.encode())
    initial, written = inputs.all_at(atoms, settings.beads), []
    for number, phase in enumerate(settings.phases(), 1):
        name = phase.method or phase.name
        extras = "".join(_EXTRA.format(stride=settings.stride, what=what) for what in recorded)
        text = inputs.simulation(
            phase,
            settings,
            initial=initial,
            forcefield=inputs.ALONE,
            output=_OUTPUT.format(name=name, stride=settings.stride, steps=phase.steps, extras=extras),
            seed=settings.seed + number,
        )
        written.append(folder / f"{number}-{name}.xml")
        write_atomically(written[-1], text.encode())
        initial = f"<file mode='chk'> {name}.checkpoint </file>"
    return written
