"""Free space is asked for at most once a second."""

import os
from pathlib import Path

from storage.wal.disk_space import CACHED_S, DiskSpace
from tests.clocks import ManualClock


def test_free_space_is_what_the_file_system_says(tmp_path: Path) -> None:
    status = os.statvfs(tmp_path)
    free = DiskSpace(tmp_path, ManualClock()).free_bytes()
    assert abs(free - status.f_bavail * status.f_frsize) < 1 << 30


def test_it_is_asked_again_after_a_second(tmp_path: Path) -> None:
    clock = ManualClock()
    place = tmp_path / "gone"
    place.mkdir()
    space = DiskSpace(place, clock)
    before = space.free_bytes()
    place.rmdir()  # to ask again would fail
    assert space.free_bytes() == before
    place.mkdir()
    clock.move(CACHED_S)
    assert space.free_bytes() > 0
