"""Fixtures that the tests of several routes share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.alerts.conftest import alert_store
from tests.deployments.front_door import FrontDoor, Replica

__all__ = ["alert_store"]


@pytest.fixture
def replica() -> Iterator[Replica]:
    started = Replica()
    yield started
    started.close()


@pytest.fixture
def door(tmp_path: Path, replica: Replica) -> Iterator[FrontDoor]:
    """A running HAProxy in front of the replica."""
    opened = FrontDoor(tmp_path, replica)
    yield opened
    opened.close()
