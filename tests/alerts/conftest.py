"""The small client that alerting uses, on the test's own database."""

from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from alerts.clickhouse_http import ClickHouseHttp
from storage.clickhouse import ClickHouse


@pytest.fixture
def alert_store(clickhouse: ClickHouse, clickhouse_url: SecretStr) -> Iterator[ClickHouseHttp]:
    """A client of a database with all tables."""
    client = ClickHouseHttp(clickhouse_url.get_secret_value())
    yield client
    client.close()
