"""A listener for a test, in front of a real writer and ClickHouse."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.clickhouse import ClickHouse
from tests.listeners.authority import Authority, Identity
from tests.listeners.service import ListenerService

StartService = Callable[..., ListenerService]


@pytest.fixture
def start_service(clickhouse: ClickHouse, tmp_path: Path) -> Iterator[StartService]:
    """Starts one listener with given settings; it is stopped after the test."""
    started: list[ListenerService] = []

    def start(**settings: Any) -> ListenerService:
        started.append(ListenerService(clickhouse, tmp_path / f"wal-{len(started)}", **settings))
        return started[-1]

    yield start
    for service in started:
        service.close()


@pytest.fixture
def service(start_service: StartService) -> ListenerService:
    """A listener with the default settings."""
    return start_service()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The site's certificate authority."""
    return Authority(tmp_path_factory.mktemp("authority"), "site-ca")


@pytest.fixture(scope="session")
def server_identity(authority: Authority) -> Identity:
    """The listener's certificate."""
    return authority.issue("localhost")
