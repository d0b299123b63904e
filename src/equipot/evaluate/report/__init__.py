"""The report of a run: one HTML file that needs no network."""

from equipot.evaluate.report.document import write_report
from equipot.evaluate.report.simulation import write_simulation_report

__all__ = ["write_report", "write_simulation_report"]
