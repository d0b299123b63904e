"""Numbers in the README are those of the committed result files."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def test_the_readme_shows_the_committed_results():
    found = subprocess.run([sys.executable, str(ROOT / "benchmarks" / "readme.py"), "--check"], check=False)
    assert found.returncode == 0, "run: python benchmarks/readme.py"


def test_the_page_of_accuracies_shows_the_committed_results():
    script = ROOT / "benchmarks" / "accuracy" / "page.py"
    found = subprocess.run([sys.executable, str(script), "--check"], check=False)
    assert found.returncode == 0, "run: python benchmarks/accuracy/page.py"


def test_the_page_of_speeds_shows_the_committed_results():
    script = ROOT / "benchmarks" / "speed" / "page.py"
    found = subprocess.run([sys.executable, str(script), "--check"], check=False)
    assert found.returncode == 0, "run: python benchmarks/speed/page.py"


def test_the_page_of_engines_and_spectra_shows_the_committed_results():
    script = ROOT / "benchmarks" / "engines" / "page.py"
    found = subprocess.run([sys.executable, str(script), "--check"], check=False)
    assert found.returncode == 0, "run: python benchmarks/engines/page.py"
