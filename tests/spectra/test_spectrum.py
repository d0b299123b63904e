from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation

from equipot.spectra.line import BOLTZMANN
from equipot.spectra.spectrum import spectrum
from spectra import bent


def area(one, center, half=150.0):
    inside = np.abs(one.wavenumber - center) < half
    return np.trapezoid(one.value[inside], one.wavenumber[inside])


@pytest.fixture(scope="module")
def sticks():
    return bent.modes()


@pytest.fixture(scope="module")
def found(cold, sticks):
    return spectrum(cold, harmonic=sticks)


@pytest.mark.parametrize("kind", ["ir", "raman", "power"])
def test_dynamics_at_half_a_kelvin_gives_the_harmonic_sticks(found, sticks, kind):
    """Positions within 0.6 cm⁻¹ after the step correction; areas within 1% of Verlet's, 6% of the sticks'."""
    one, lines = found[kind], sticks.sticks(kind)
    for nu, value in zip(lines.wavenumber, lines.value, strict=True):
        verlet = bent.verlet_area(nu, 0.5, velocities=kind == "power")
        assert area(one, nu) == pytest.approx(value * verlet, rel=0.01)
        assert verlet == pytest.approx(1.0, abs=0.06)
        peak = min(one.peaks, key=lambda p: abs(p.position - nu))
        assert abs(peak.position - nu) < 0.6
        assert peak.fwhm == pytest.approx(found.header.resolution, rel=0.05)


def test_depolarization_ratio_of_each_line(found, sticks):
    one, lines = found["raman"], sticks.sticks("raman")
    for nu, rho in zip(lines.wavenumber, lines.depolarization, strict=True):
        at = np.argmin(np.abs(one.wavenumber - nu))
        assert one.components["depolarization"][at] == pytest.approx(rho, abs=0.02)
    parts = one.components["isotropic"] + one.components["anisotropic"]
    assert_allclose(parts, one.value, rtol=1e-9, atol=1e-9 * one.value.max())


def test_without_the_step_correction_lines_are_blue(cold, sticks):
    raw = spectrum(cold, kinds=("ir",), step_correction=False)
    nu = sticks.wavenumbers[1]
    peak = min(raw["ir"].peaks, key=lambda p: abs(p.position - nu))
    assert 15 < peak.position - nu < 25  # 19 at 3700 cm⁻¹ and 0.5 fs


def test_power_counts_the_degrees_of_freedom(found):
    assert found.header.degrees_expected == 3
    assert found.header.degrees_found == pytest.approx(3, rel=0.03)
    assert found.header.kinetic_temperature == pytest.approx(0.5, rel=0.03)


def test_header_says_how(found):
    header = found.header
    assert header.stride == 1.0 and header.segments == 8 and header.window == "hann"
    assert header.resolution == pytest.approx(10.26, abs=0.02) or header.resolution <= 10.0
    assert "8 blocks" in header.error


def test_matches_pair_every_stick(found):
    for kind in ("ir", "raman", "power"):
        rows = [m for m in found[kind].matches if m.lines]
        assert [m.lines for m in rows] == [1, 1, 1]
        for m in rows:
            assert m.peak.area == pytest.approx(m.intensity, rel=0.05)


def test_eckart_frame_of_a_molecule_without_rotation_is_the_lab_frame(cold, found, sticks):
    turned = spectrum(cold, frame="eckart", harmonic=sticks)
    for kind in ("ir", "raman", "power"):
        for nu in sticks.wavenumbers:
            # the power spectrum comes from positions there, from Verlet's smaller velocities here
            assert area(turned[kind], nu) == pytest.approx(
                area(found[kind], nu), rel=0.06 if kind == "power" else 0.01
            )
    assert "Eckart frame of the harmonic minimum" in turned.header.notes


def test_eckart_frame_undoes_rotation(cold, sticks):
    """A spun trajectory has side bands in the laboratory frame and none in Eckart's."""
    stride = cold.stride
    spun = []
    for segment in cold.segments[:1]:
        turn = Rotation.from_rotvec(
            np.array([0.0, 0.3, 1.0]) * 0.003 * stride * np.arange(len(segment))[:, None]
        ).as_matrix()
        spun.append(
            replace(
                segment,
                positions=np.einsum("tab,tib->tia", turn, segment.positions),
                velocities=np.einsum("tab,tib->tia", turn, segment.velocities),
                dipole=np.einsum("tab,tb->ta", turn, segment.dipole),
                polarizability=turn @ segment.polarizability @ turn.transpose(0, 2, 1),
            )
        )
    kinds = ("ir", "raman")
    rotating = replace(cold, segments=tuple(spun))
    still = replace(cold, segments=cold.segments[:1])
    reference = spectrum(still, kinds, frame="eckart", harmonic=sticks)
    undone = spectrum(rotating, kinds, frame="eckart", harmonic=sticks)
    lab = spectrum(rotating, kinds)
    for kind in kinds:
        top = reference[kind].value.max()
        assert_allclose(undone[kind].value, reference[kind].value, atol=1e-6 * top)
        assert np.abs(lab[kind].value - reference[kind].value).max() > 0.1 * top


def test_laser_turns_activities_into_cross_sections(cold, found, sticks):
    absolute = spectrum(cold, kinds=("raman",), laser=532, temperature=0.5, harmonic=sticks)["raman"]
    assert absolute.unit == "cm2/sr per cm-1"
    assert absolute.wavenumber[0] >= 10
    nu = sticks.wavenumbers[2]
    activity = found["raman"]
    assert area(absolute, nu) / area(activity, nu) == pytest.approx(
        absolute.sticks.value[2] / activity.sticks.value[2], rel=0.02
    )


def test_quantum_factor_multiplies_relative_to_the_harmonic_one(cold, found):
    hot = spectrum(cold, kinds=("ir",), quantum="standard", temperature=300.0)
    plain = spectrum(cold, kinds=("ir",), temperature=300.0)
    at = np.argmin(np.abs(plain["ir"].wavenumber - 3757))
    ratio = hot["ir"].value[at] / plain["ir"].value[at]
    assert ratio == pytest.approx(2.0 / 18.02, rel=0.01)
    assert found.header.quantum == "harmonic"


def test_default_resolution_gives_way_and_says_so(cold):
    short = replace(cold, segments=tuple(cut(s, 2000) for s in cold.segments))
    result = spectrum(short, kinds=("power",))
    assert result.header.resolution == pytest.approx(33356 / 499, rel=0.01)
    assert any("instead of 10" in note for note in result.header.notes)
    with pytest.raises(ValueError, match="more than a third of the shortest segment"):
        spectrum(short, kinds=("power",), resolution=10)
    with pytest.raises(ValueError, match="too short"):
        spectrum(replace(cold, segments=(cut(cold.segments[0], 30),)))


def cut(segment, length):
    return replace(
        segment,
        positions=segment.positions[:length],
        velocities=segment.velocities[:length],
        dipole=segment.dipole[:length],
        polarizability=segment.polarizability[:length],
    )


def test_sampling_below_the_rate_for_hydrogen_is_refused(cold):
    with pytest.raises(ValueError, match="hydrogen is present"):
        spectrum(replace(cold, every=9))


def test_missing_series_say_what_to_do(cold):
    bare = replace(cold, segments=tuple(replace(s, polarizability=None) for s in cold.segments))
    with pytest.raises(ValueError, match="trained on the target 'polarizability'"):
        spectrum(bare, kinds=("ir", "raman"))
    everything = spectrum(bare)
    assert set(everything.kinds) == {"ir", "power"}
    assert any("no raman spectrum" in note for note in everything.notes)
    periodic = replace(cold, periodic=True)
    assert set(spectrum(periodic).kinds) == {"raman", "power"}
    with pytest.raises(ValueError, match="not periodic in three directions"):
        spectrum(periodic, kinds=("ir",))
    with pytest.raises(ValueError, match="no spectrum was asked for"):
        spectrum(cold, kinds=())


def test_linear_molecules_and_cells_have_no_eckart_frame(cold):
    line = np.array([[0.0, 0.0, z] for z in (-1.16, 0.0, 1.16)])
    straight = replace(cold.segments[0], positions=np.broadcast_to(line, cold.segments[0].positions.shape))
    with pytest.raises(ValueError, match="linear molecule"):
        spectrum(replace(cold, segments=(straight,)), frame="eckart")
    with pytest.raises(ValueError, match="periodic cell has no Eckart frame"):
        spectrum(replace(cold, periodic=True), frame="eckart")


def test_rotating_molecules_have_three_more_degrees_of_freedom(cold):
    rng = np.random.default_rng(1)
    spread = np.sqrt(BOLTZMANN * 300.0 / bent.MASSES)[:, None]
    x = np.broadcast_to(bent.POSITIONS, (8, 3, 3))
    xs, vs = bent.dynamics(x, spread * rng.normal(size=(8, 3, 3)), 0.5, 1000, 2)
    segments = tuple(
        replace(cold.segments[0], positions=x, velocities=v, dipole=None, polarizability=None)
        for x, v in zip(xs, vs, strict=True)
    )
    found = spectrum(replace(cold, segments=segments, temperature=300.0))
    assert found.header.degrees_expected == 6
    assert found.header.degrees_found == pytest.approx(6 * found.header.kinetic_temperature / 300.0, rel=0.02)


@pytest.mark.parametrize(
    "option, message",
    [
        ({"kinds": ("uv",)}, "spectrum 'uv'"),
        ({"frame": "body"}, "frame 'body'"),
        ({"window": "hanning"}, "Did you mean 'hann'"),
        ({"quantum": "kub"}, "Did you mean 'kubo'"),
        ({"resolution": 0}, "above zero"),
        ({"derivative": "spline"}, "derivative 'spline'"),
        ({"laser": 0.5, "kinds": ("raman",)}, "wavelength in nm"),
    ],
)
def test_unknown_choices_are_named(cold, option, message):
    with pytest.raises(ValueError, match=message):
        spectrum(cold, **option)


def test_hot_kinetic_temperature_and_white_floor_are_noted(cold):
    notes = spectrum(cold, kinds=("power",), temperature=0.4).header.notes
    assert any("kinetic temperature" in n for n in notes)
    rng = np.random.default_rng(0)
    noisy = tuple(
        replace(s, velocities=s.velocities + 1e-4 * rng.normal(size=s.velocities.shape))
        for s in cold.segments
    )
    notes = spectrum(replace(cold, segments=noisy), kinds=("power",)).header.notes
    assert any("where nothing vibrates" in n for n in notes)


def test_total_momentum_is_removed(cold, found):
    drifting = tuple(replace(s, velocities=s.velocities + np.array([1e-3, 0, 0])) for s in cold.segments)
    power = spectrum(replace(cold, segments=drifting), kinds=("power",))
    assert_allclose(power["power"].value, found["power"].value, atol=1e-8 * found["power"].value.max())
