"""LAMMPS: systems divided among processes."""
