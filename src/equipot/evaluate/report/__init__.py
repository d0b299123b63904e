"""The report of a run: one HTML file that needs no network."""

from equipot.evaluate.report.document import write_report

__all__ = ["write_report"]
