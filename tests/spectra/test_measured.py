import numpy as np
import pytest
from numpy.testing import assert_allclose

from equipot.spectra.measured import read_measured
from equipot.spectra.spectrum import spectrum
from spectra import bent


def write(tmp_path, text, name="water.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_columns_are_sorted_and_named(tmp_path):
    found = read_measured(
        write(tmp_path, "# made up\nwavenumber_cm-1,absorbance\n3000,0.2\n2000,0.1\n1000,\n500,0.3\n")
    )
    assert_allclose(found.wavenumber, [500, 2000, 3000])  # 1000 is a gap
    assert_allclose(found.value, [0.3, 0.1, 0.2])
    assert (found.quantity, found.source, found.kind) == ("absorbance", "water.csv", None)


@pytest.mark.parametrize(
    ("axis", "x"),
    [
        ("wavelength [um]", (10, 5, 4)),
        ("wavelength (nm)", (10000, 5000, 4000)),
        ("wavenumber [1/cm]", (1000, 2000, 2500)),
    ],
)
def test_axes(tmp_path, axis, x):
    rows = "".join(f"{a} {b}\n" for a, b in zip(x, (1.0, 10.0, 100.0), strict=True))
    found = read_measured(write(tmp_path, f"{axis}; transmittance [%]\n{rows}"))
    assert_allclose(found.wavenumber, [1000, 2000, 2500])
    assert_allclose(found.value, [2, 1, 0], atol=1e-12)
    assert found.quantity == "absorbance" and "log" in found.notes[0]


def test_opaque_is_not_infinite(tmp_path):
    found = read_measured(write(tmp_path, "frequency [THz],transmittance\n1,0\n2,-0.01\n3,1\n"))
    assert_allclose(found.value, [4, 4, 0], atol=1e-12)
    assert_allclose(found.wavenumber[0], 33.3564095, rtol=1e-8)


def test_optical_constants_become_absorption(tmp_path):
    n, k, nu = 1.3, 0.04, np.array([1600.0, 1650.0, 1700.0])
    rows = "".join(f"{x},{n},{k}\n" for x in nu)
    found = read_measured(write(tmp_path, f"wavenumber_cm-1,n,k\n{rows}"))
    assert_allclose(found.value, n * 4 * np.pi * nu * k)
    rows = "".join(f"{x},{2 * n * k}\n" for x in nu)  # ε″ = 2nk
    loss = read_measured(write(tmp_path, f"wavenumber_cm-1,dielectric_loss\n{rows}"))
    assert_allclose(loss.value, found.value)
    assert loss.quantity == "n·α [cm-1]"


def test_what_was_written_can_be_read(tmp_path):
    made = spectrum(bent.trajectory(0.5, replicas=2, steps=800), ["ir", "raman"])
    made.write(tmp_path)
    for kind in ("ir", "raman"):
        found = read_measured(tmp_path / f"{kind}.csv")
        assert_allclose(found.value, made[kind].value, rtol=1e-8)
        assert found.quantity == made[kind].unit
    assert found.kind == "raman"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1000,0.1\n2000,0.2\n", r"first line is '1000,0.1', expected the names of the columns"),
        (
            "energy [eV],absorbance\n1,2\n2,3\n3,4\n",
            r"first column is 'energy \[eV\]', expected one of",
        ),
        ("wavenumber_cm-1,absorbance\n1,2\n2,x\n", r"line 3: '2,x' does not begin with 2 numbers"),
        ("wavenumber_cm-1,absorbance\n1,2\n1,3\n4,5\n", "1 cm⁻¹ occurs more than once"),
        ("wavenumber_cm-1,absorbance\n1,2\n", "1 points are no spectrum"),
        ("# nothing\n", "no lines with numbers"),
    ],
)
def test_what_is_unclear_is_refused(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read_measured(write(tmp_path, text))


def test_a_missing_file(tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        read_measured(tmp_path / "none.csv")
