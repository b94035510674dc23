"""Fixtures that the tests of several actors share."""

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import ray

from actors.placement import NAMESPACE
from alerts.clickhouse_http import ClickHouseHttp
from alerts.journal import Journal
from tests.alerts.conftest import alert_store
from tests.alerts.receivers import HttpReceiver

__all__ = ["alert_store"]

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def local_ray() -> Iterator[None]:
    """A Ray of our own with two CPUs; its workers find the packages of this tree."""
    with tempfile.TemporaryDirectory(prefix="logray-ray-", ignore_cleanup_errors=True) as directory:
        os.environ["PYTHONPATH"] = str(ROOT)
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            namespace=NAMESPACE,
            object_store_memory=80 << 20,
            _temp_dir=directory,
        )
        yield
        ray.shutdown()


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
