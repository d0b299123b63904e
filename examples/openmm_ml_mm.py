"""Ethanol by a model in water by a force field: mechanical embedding with OpenMM-ML.

    python openmm_ml_mm.py model.equipot

Any model that knows H, C and O. Charges and radii of ethanol, which the water feels, are those of OPLS-AA. Seconds.
Ends in the energy of the ethanol in OpenMM less that of the same model in ASE, meV: zero.
"""

import sys
from io import StringIO

from ase import Atoms
from ase.build import molecule
from openmm import LangevinMiddleIntegrator, Platform, Vec3, app, unit
from openmmml import MLPotential

import equipot

NAMES = ["C2", "C1", "O", "HO", "H1", "H2", "H3", "H4", "H5"]  # in the order of ASE's molecule
BONDS = [(0, 1), (1, 2), (2, 3), (1, 4), (1, 5), (0, 6), (0, 7), (0, 8)]
MASS = {"C": 12.011, "O": 15.999, "H": 1.008}
#: charge in e, radius in nm, depth in kJ/mol
KINDS = {"C1": (0.145, 0.35, 0.276144), "C2": (-0.18, 0.35, 0.276144), "O": (-0.683, 0.312, 0.71128)}
KINDS |= {"HO": (0.418, 1.0, 0.0)} | {f"H{k}": (0.06, 0.25, 0.12552) for k in range(1, 6)}


def field() -> app.ForceField:
    """TIP3P, and what ethanol is to others: its own bonds are the model's."""
    kinds = "".join(f'<Type name="{n}" class="{n}" element="{n[0]}" mass="{MASS[n[0]]}"/>' for n in NAMES)
    atoms = "".join(f'<Atom name="{n}" type="{n}" charge="{KINDS[n][0]}"/>' for n in NAMES)
    bonds = "".join(f'<Bond atomName1="{NAMES[i]}" atomName2="{NAMES[j]}"/>' for i, j in BONDS)
    radii = "".join(f'<Atom type="{n}" sigma="{KINDS[n][1]}" epsilon="{KINDS[n][2]}"/>' for n in NAMES)
    residue = f'<Residues><Residue name="EOH">{atoms}{bonds}</Residue></Residues>'
    scales = 'coulomb14scale="0.833333" lj14scale="0.5"'  # those of tip3p.xml
    pairs = f'<NonbondedForce {scales}><UseAttributeFromResidue name="charge"/>{radii}</NonbondedForce>'
    xml = f"<ForceField><AtomTypes>{kinds}</AtomTypes>{residue}{pairs}</ForceField>"
    return app.ForceField("tip3p.xml", StringIO(xml))


start, topology = molecule("CH3CH2OH"), app.Topology()
residue = topology.addResidue("EOH", topology.addChain())
made = [topology.addAtom(n, app.Element.getBySymbol(n[0]), residue) for n in NAMES]
for i, j in BONDS:
    topology.addBond(made[i], made[j])
modeller = app.Modeller(topology, (start.positions + 9) * unit.angstrom)
modeller.addSolvent(field(), boxSize=Vec3(1.8, 1.8, 1.8))

water = field().createSystem(modeller.topology, nonbondedMethod=app.PME, nonbondedCutoff=0.8)
potential = MLPotential("equipot", modelPath=sys.argv[1])
system = potential.createMixedSystem(modeller.topology, water, list(range(9)), forceGroup=1)

integrator = LangevinMiddleIntegrator(300, 1, 0.0005)
platform = Platform.getPlatform("CPU")
simulation = app.Simulation(modeller.topology, system, integrator, platform, {"Threads": "1"})
simulation.context.setPositions(modeller.positions)
simulation.minimizeEnergy(maxIterations=30)
simulation.context.setVelocitiesToTemperature(300, 1)
simulation.step(100)

state = simulation.context.getState(positions=True, energy=True, groups={1})
found = state.getPotentialEnergy() / (unit.elementary_charge * unit.volt * unit.AVOGADRO_CONSTANT_NA)
alone = Atoms(start.numbers, state.getPositions(asNumpy=True).value_in_unit(unit.angstrom)[:9])
alone.set_cell([18, 18, 18])
alone.pbc = True
alone.calc = equipot.load(sys.argv[1]).calculator()
print(f"{modeller.topology.getNumAtoms()} atoms, of which 9 by the model")
print(f"energy of ethanol, OpenMM less ASE, in meV: {1000 * (found - alone.get_potential_energy()):.3f}")
