"""Fixtures that the tests of the alerting actors share."""

from collections.abc import AsyncIterator

import pytest

from alerts.clickhouse_http import ClickHouseHttp
from alerts.journal import Journal
from tests.alerts.conftest import alert_store
from tests.alerts.receivers import HttpReceiver

__all__ = ["alert_store"]


@pytest.fixture
async def receiver() -> AsyncIterator[HttpReceiver]:
    server = await HttpReceiver().start()
    yield server
    await server.stop()


@pytest.fixture
async def team() -> AsyncIterator[HttpReceiver]:
    server = await HttpReceiver().start()
    yield server
    await server.stop()


@pytest.fixture
async def boss() -> AsyncIterator[HttpReceiver]:
    server = await HttpReceiver().start()
    yield server
    await server.stop()


@pytest.fixture
def journal(alert_store: ClickHouseHttp) -> Journal:
    return Journal(alert_store)
