"""Quantum nuclei: ring polymers moved by i-PI, all beads evaluated as one batch."""
