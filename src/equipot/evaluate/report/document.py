"""One HTML file about a run, from its parts."""

import html
import json
from pathlib import Path

from equipot.deploy.model_file import read_document


def write_report(folder: Path) -> Path:
    """Write RUN/report.html from the model file in a run folder."""
    document = read_document(folder / "model.equipot")
    text = json.dumps(document.metrics, indent=2, ensure_ascii=False)
    out = folder / "report.html"
    out.write_text(
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>equipot</title>"
        f"<pre>{html.escape(text)}</pre></html>",
        encoding="utf-8",
    )
    return out
