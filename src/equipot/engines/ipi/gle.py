"""Matrices of a generalized Langevin equation, from the file that GLE4MD or an i-PI input prints."""

from pathlib import Path
from xml.etree import ElementTree

MODES = ("nm_gle", "nm_gle_g")
_HELP = (
    "Expected the element <thermostat mode='nm_gle'> <A shape='(P, n, n)'> ... </A> <C shape='(P, n, n)'> ... </C>"
    " </thermostat> of an i-PI input, P being the number of beads, as http://gle4md.org prints it for PIGLET."
)


def thermostat(path: str | Path | None, beads: int) -> str:
    """The thermostat element of a PIGLET run; refused where it is none, or made for another number of beads.

    The matrices are fitted numbers (Ceriotti, Manolopoulos, Phys. Rev. Lett. 109, 100604 (2012)) that depend on the
    number of beads, the temperature and the highest frequency: nothing here can make them.
    """
    if path is None:
        raise ValueError(f"method piglet needs the matrices of its thermostat: gle=FILE. {_HELP}")
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise ValueError(f"{path}: cannot be read as XML ({error}). {_HELP}") from None
    element = root if root.tag == "thermostat" else root.find(".//thermostat")
    drift = None if element is None else element.find("A")
    if element is None or drift is None or element.get("mode") not in MODES:
        raise ValueError(f"{path}: no thermostat of mode {' or '.join(MODES)} with a matrix A. {_HELP}")
    shape = drift.get("shape", "")
    found = shape.strip("() ").split(",")[0].strip()
    if found != str(beads):
        raise ValueError(
            f"{path}: matrices of shape {shape or 'unknown'}, made for {found or '?'} beads; the run has {beads}."
            f" Take the matrices for {beads} beads. {_HELP}"
        )
    return ElementTree.tostring(element, encoding="unicode").strip()
