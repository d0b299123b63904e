"""JCAMP-DX: every form that is read, and what is refused with its label and line."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose

pytest.importorskip("jcamp")

from equipot.spectra.measured import read_measured

FIRST, LAST, POINTS, YFACTOR = 400.0, 4000.0, 37, 0.001
X = np.linspace(FIRST, LAST, POINTS)
COUNTS = np.round(700 * np.exp(-(((X - 1700) / 150) ** 2)) + 400 * np.exp(-(((X - 3000) / 300) ** 2))).astype(
    int
)
SQUEEZED = {**{str(k): c for k, c in enumerate("@ABCDEFGHI")}}
NEGATIVE = {str(k): c for k, c in enumerate("@abcdefghi")}
STEPS, DOWN = dict(enumerate("%JKLMNOPQR")), dict(enumerate("%jklmnopqr"))


def affn(values):
    return " ".join(map(str, values))


def pac(values):
    return "".join(f"{v:+d}" for v in values)


def sqz(values):
    return "".join((SQUEEZED if v >= 0 else NEGATIVE)[str(abs(v))[0]] + str(abs(v))[1:] for v in values)


def dif(values):
    out = sqz(values[:1])
    for a, b in pairwise(values):
        step = b - a
        out += (STEPS if step >= 0 else DOWN)[int(str(abs(step))[0])] + str(abs(step))[1:]
    return out


def table(encode, per_line=6, xfactor=1.0):
    """Lines of XYDATA; those of differences repeat the last ordinate of the line before."""
    lines = []
    for start in range(0, POINTS, per_line):
        values = COUNTS[start : start + per_line].tolist()
        if encode is dif and start:
            values = [int(COUNTS[start - 1]), *values]
        x = X[start - (1 if encode is dif and start else 0)] / xfactor
        lines.append(f"{x:g}" + (" " if encode is affn else "") + encode(values))
    return lines


def document(lines, **changes):
    labels = {
        "TITLE": "made up", "JCAMP-DX": "4.24 $$ a comment", "DATA TYPE": "INFRARED SPECTRUM", "XUNITS": "1/CM",
        "YUNITS": "ABSORBANCE", "XFACTOR": "1", "YFACTOR": str(YFACTOR), "FIRSTX": str(FIRST), "LASTX": str(LAST),
        "NPOINTS": str(POINTS), "FIRSTY": f"{COUNTS[0] * YFACTOR:g}", "MAXY": f"{COUNTS.max() * YFACTOR:g}",
        "XYDATA": "(X++(Y..Y))",
    }  # fmt: skip
    labels |= {k.replace("_", " "): v for k, v in changes.items()}
    text = "".join(f"##{k}= {v}\n" for k, v in labels.items() if v is not None)
    return text + "".join(f"{line}\n" for line in lines) + "##END=\n"


@pytest.fixture
def read(tmp_path):
    def reading(text):
        path = tmp_path / "made.jdx"
        path.write_text(text)
        return read_measured(path)

    return reading


@pytest.mark.parametrize("encode", [affn, pac, sqz, dif], ids=lambda f: f.__name__)
def test_every_packing(read, encode):
    found = read(document(table(encode)))
    assert_allclose(found.wavenumber, X)
    assert_allclose(found.value, COUNTS * YFACTOR, atol=1e-12)
    assert (found.kind, found.quantity) == ("ir", "absorbance")


def test_xfactor(read):
    found = read(document(table(sqz, xfactor=2.0), XFACTOR="2"))
    assert_allclose(found.wavenumber, X)


def test_points_in_pairs_descending_in_micrometers_and_percent(read):
    lines = [f"{1e4 / x:.9g}, {100 * 10 ** (-c * YFACTOR):.9g}" for x, c in zip(X, COUNTS, strict=True)]
    text = document(
        lines, XYDATA=None, XYPOINTS="(XY..XY)", XUNITS="MICROMETERS", YUNITS="TRANSMITTANCE", YFACTOR="1",
        FIRSTX=None, LASTX=None, FIRSTY=None, MAXY=None,
    )  # fmt: skip
    found = read(text)
    assert_allclose(found.wavenumber, X, rtol=1e-8)
    assert_allclose(found.value, COUNTS * YFACTOR, atol=1e-7)


def test_descending_x(read):
    lines = [f"{X[k]:g} {COUNTS[k]}" for k in reversed(range(POINTS))]
    found = read(document(lines, FIRSTX=str(LAST), LASTX=str(FIRST), FIRSTY=f"{COUNTS[-1] * YFACTOR:g}"))
    assert_allclose(found.wavenumber, X)
    assert_allclose(found.value, COUNTS * YFACTOR, atol=1e-12)


def broken(lines, at, line):
    return [*lines[:at], line, *lines[at + 1 :]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (document(table(affn), NPOINTS="36"), r"line 10: NPOINTS is '36'; the table gives 37 points"),
        (document(table(affn)[:-1]), r"NPOINTS is '37'; the table gives 36 points"),
        (document(broken(table(affn), 2, "1950 1 2 3 4 5 6")), r"line 16: XYDATA begins with x = 1950, expected 1600"),
        (document(broken(table(dif), 2, "1500" + dif([1, *COUNTS[12:18].tolist()]))), r"XYDATA .*Y-Check failed"),
        (document(broken(table(sqz), 1, "1000&&&")), "XYDATA is .* cannot be read"),
        (document(table(affn), MAXY="9.9"), r"line 12: MAXY is '9.9'; the table gives 0.7"),
        (document(table(affn), XUNITS="SECONDS"), r"line 4: XUNITS is 'SECONDS'; expected one of 1/CM"),
        (document(table(affn), YUNITS="KUBELKA-MUNK"), r"line 5: YUNITS is 'KUBELKA-MUNK'; expected TRANSMITTANCE"),
        (document(table(affn), XUNITS=None), "no label XUNITS"),
        (document(table(affn), XYDATA="(X++(R..R))"), r"XYDATA is '\(X\+\+\(R..R\)\)'; expected"),
        ("##TITLE=x\n##NTUPLES=NMR FID\n##END=\n", "NTUPLES in line 2; expected XYDATA or XYPOINTS"),
        (document(table(affn)) + document(table(affn)), "TITLE .* a second spectrum"),
    ],
)  # fmt: skip
def test_what_is_not_as_stated_is_refused(read, text, message):
    with pytest.raises(ValueError, match=message):
        read(text)


def packed(line, points, **changes):
    return document(
        [line], FIRSTX="400", LASTX=str(399 + points), NPOINTS=str(points), YFACTOR="1", FIRSTY="5", MAXY=None,
        **changes,
    )  # fmt: skip


def test_repeated_differences(read):
    """DUP: `T` says that the step before it comes twice: 5, then 0, 0, +2, 0, +2."""
    assert_allclose(read(packed("400E%TK%K", 6)).value, [5, 5, 5, 7, 7, 9])


def test_a_repetition_that_the_package_does_not_know_is_refused(read):
    """`S1` is eleven times; read as one and a digit it would be a plausible spectrum of two points."""
    with pytest.raises(ValueError, match="NPOINTS is '12'; the table gives 2 points"):
        read(packed("400E%S1", 12))
