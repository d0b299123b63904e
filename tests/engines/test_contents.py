import pytest

from engines.test_dynamics import killed_at, run
from equipot.engines.contents import contents


@pytest.mark.parametrize("trajectory", ["extxyz", "hdf5"])
def test_what_a_killed_and_a_finished_run_have(tmp_path, trajectory):
    killed_at(24, tmp_path, checkpoint=0, trajectory=trajectory)
    found = contents(tmp_path)
    assert (found.header["status"], found.done, found.total) == ("running", 24, 30)
    assert found.frames == 8  # at steps 0, 2 ... 14 of the production
    run(tmp_path, trajectory=trajectory)
    found = contents(tmp_path)
    assert (found.header["status"], found.frames, found.torn) == ("finished", 11, 0)
    assert found.time == pytest.approx(0.01) and found.size > 1000


def test_a_torn_frame_is_not_counted(tmp_path):
    run(tmp_path)
    with (tmp_path / "trajectory-001.extxyz").open("a") as file:
        file.write("3\nProperties")
    found = contents(tmp_path)
    assert found.frames == 11 and found.torn == 1
