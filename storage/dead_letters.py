"""Reading the dead letters, and marking those that were replayed."""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from storage.clickhouse import ClickHouse

_FOUND: Final = """
SELECT toUnixTimestamp64Nano(received_at), id, reason, base64Encode(raw), raw_bytes, source_ip, method,
    toUnixTimestamp64Nano(replayed_at)
FROM dead_letters FINAL"""
_NEWEST_FIRST: Final = "ORDER BY received_at DESC, id DESC LIMIT {limit:UInt64}"
_COUNT: Final = "SELECT count() FROM dead_letters FINAL"
_TIME: Final = "fromUnixTimestamp64Nano({%s:Int64}, 'UTC')"
_IN_KEYS: Final = (
    "(received_at, id) IN "
    "arrayMap(x -> (fromUnixTimestamp64Nano(x.1, 'UTC'), x.2), {keys:Array(Tuple(Int64, UInt64))})"
)
_MARK: Final = """
INSERT INTO dead_letters
SELECT id, received_at, reason, raw, raw_bytes, source_ip, method, fromUnixTimestamp64Nano({at:Int64}, 'UTC')
FROM dead_letters FINAL WHERE"""
_KEY: Final = re.compile(r"([0-9a-f]{16})-([0-9a-f]{16})")


@dataclass(frozen=True, slots=True)
class Key:
    """A dead letter's place: when it came (ns since 1970) and its id; both make the id that users see."""

    received_at_ns: int
    id: int

    def __str__(self) -> str:
        return f"{self.received_at_ns:016x}-{self.id:016x}"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One record that could not be stored as a log; `raw` may have been cut, it had `raw_bytes` bytes."""

    key: Key
    reason: str
    raw: bytes
    raw_bytes: int
    source_ip: str
    method: str
    replayed_at_ns: int  # 0: never


@dataclass(frozen=True, slots=True)
class Filter:
    """Which dead letters; None is any. Times in ns, `until_ns` exclusive."""

    reason: str | None = None  # how it begins
    method: str | None = None
    source_ip: str | None = None
    contains: str | None = None  # in its raw bytes
    from_ns: int | None = None
    until_ns: int | None = None
    replayed: bool | None = None
    keys: tuple[Key, ...] | None = None
    before: Key | None = None  # only older ones: the next page


def read_key(text: str) -> Key | None:
    """The key that a text names; None when it names none."""
    match = _KEY.fullmatch(text)
    return Key(int(match[1], 16), int(match[2], 16)) if match else None


class DeadLetters:
    """The table `dead_letters`. All methods block, and raise StorageError and StorageUnavailable."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    def find(self, filter_: Filter, limit: int) -> list[DeadLetter]:
        """The newest that match."""
        where, parameters = _where(filter_)
        sql = " ".join((_FOUND, where, _NEWEST_FIRST))
        rows = self._clickhouse.query(sql, {**parameters, "limit": limit}).rows
        return [
            DeadLetter(
                Key(int(at), int(number)), reason, base64.b64decode(raw), int(size), ip, method, int(replayed)
            )
            for at, number, reason, raw, size, ip, method, replayed in rows
        ]

    def count(self, filter_: Filter) -> int:
        """How many match, on whatever page."""
        where, parameters = _where(filter_)
        return int(self._clickhouse.query(" ".join((_COUNT, where)), parameters).rows[0][0])

    def mark_replayed(self, keys: Sequence[Key], at_ns: int) -> None:
        """Note that these are logs now."""
        parameters = {"at": at_ns, "keys": _pairs(keys)}
        self._clickhouse.command(" ".join((_MARK, _IN_KEYS)), parameters)


def _pairs(keys: Sequence[Key]) -> list[tuple[int, int]]:
    return [(key.received_at_ns, key.id) for key in keys]


def _where(filter_: Filter) -> tuple[str, dict[str, Any]]:
    conditions: list[str] = []
    parameters: dict[str, Any] = {}

    def add(condition: str, **values: Any) -> None:
        conditions.append(condition)
        parameters.update(values)

    if filter_.reason is not None:
        add("startsWith(reason, {reason:String})", reason=filter_.reason)
    if filter_.method is not None:
        add("method = {method:String}", method=filter_.method)
    if filter_.source_ip is not None:
        add("source_ip = {source_ip:String}", source_ip=filter_.source_ip)
    if filter_.contains is not None:
        add("position(raw, {contains:String}) > 0", contains=filter_.contains)
    if filter_.from_ns is not None:
        add(f"received_at >= {_TIME % 'from_ns'}", from_ns=filter_.from_ns)
    if filter_.until_ns is not None:
        add(f"received_at < {_TIME % 'until_ns'}", until_ns=filter_.until_ns)
    if filter_.replayed is not None:
        add("replayed_at > 0" if filter_.replayed else "replayed_at = 0")
    if filter_.keys is not None:
        add(_IN_KEYS, keys=_pairs(filter_.keys))
    if filter_.before is not None:
        add(
            f"(received_at, id) < ({_TIME % 'before_at'}, {{before_id:UInt64}})",
            before_at=filter_.before.received_at_ns,
            before_id=filter_.before.id,
        )
    return (f"WHERE {' AND '.join(conditions)}" if conditions else ""), parameters
