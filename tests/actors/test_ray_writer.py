"""A writer's actor is handed what it shall store: inline, in shared memory, or through Ray's object store."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import ray
from pydantic import SecretStr

from actors import writer_client
from actors.partition_writer import start_partition_writer
from actors.writer_client import RAY_INLINE_BYTES, RayWriter
from core.errors import WalError
from core.settings import WalSettings
from storage.clickhouse import ClickHouse
from storage.wal.payload import encode
from storage.wal.shared_memory import SharedPayloads, share
from tests.storage.wal.batches import batch

SETTINGS = WalSettings(flush_interval_s=60, free_disk_bytes_min=0)
CALL_IDS = [bytes([number]) * 16 for number in range(4)]
SMALL = encode(batch("small"))
LARGE = encode(batch("large", "x" * RAY_INLINE_BYTES))


@pytest.fixture
async def actor(
    local_ray: None, clickhouse: ClickHouse, clickhouse_url: SecretStr, tmp_path: Path
) -> AsyncIterator[Any]:
    """The actor of partition 0."""
    node_id = ray.get_runtime_context().get_node_id()
    started: Any = start_partition_writer(0, SETTINGS, tmp_path, clickhouse_url, node_id)
    yield started
    ray.kill(started)


async def stored(actor: Any, clickhouse: ClickHouse) -> list[str]:
    assert await actor.drain.remote(20)
    return [row["message"][:5] for row in clickhouse.rows("SELECT message FROM logs ORDER BY seq")]


async def test_small_and_large_calls_are_stored_once_however_often_they_are_repeated(
    actor: Any, clickhouse: ClickHouse
) -> None:
    writer = RayWriter(0)
    for _ in range(2):
        await writer.append(CALL_IDS[0], [SMALL])
        await writer.append(CALL_IDS[1], [LARGE, SMALL])
    assert await stored(actor, clickhouse) == ["small", "large", "xxxxx", "small"]


async def test_a_writer_on_another_node_gets_large_calls_through_ray(
    actor: Any, clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares = 0

    @contextmanager
    def share_elsewhere(call_id: bytes, payloads: Sequence[bytes]) -> Iterator[SharedPayloads]:
        nonlocal shares
        shares += 1
        with share(call_id, payloads) as shared:
            yield replace(shared, fd=shared.fd + 1000)  # what its number means over there: nothing

    monkeypatch.setattr(writer_client, "share", share_elsewhere)
    writer = RayWriter(0)
    await writer.append(CALL_IDS[0], [LARGE])
    await writer.append(CALL_IDS[1], [LARGE])
    assert await stored(actor, clickhouse) == ["large", "xxxxx"] * 2
    assert shares == 1  # it is not tried again


async def test_an_error_of_the_writer_is_the_callers_whichever_way_the_call_took(actor: Any) -> None:
    writer = RayWriter(0)
    for payload in (b"garbage", b"garbage" * RAY_INLINE_BYTES):
        with pytest.raises(WalError, match="cannot read a payload"):
            await writer.append(CALL_IDS[0], [payload])
