"""Running instances of Logray, each on its own ports and data directory."""

from collections.abc import Iterator

import pytest

from benchmarks.instance import Instance, temporary_instance
from tests.running.client import Client


@pytest.fixture(scope="session")
def instance() -> Iterator[Instance]:
    """One instance for all tests that only talk to it."""
    with temporary_instance() as started:
        yield started


@pytest.fixture
def client(instance: Instance) -> Client:
    """A user of it."""
    return Client(instance.url, instance.api_key)
