"""The way back: a row of the log table as the flat object that was sent, with its metadata beside it."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

import orjson

from formats.timestamps import format_timestamp

# Shapes repeat from log to log; larger ones than this are read each time, so that the cache stays small.
_CACHED_SHAPES: Final = 4096
_CACHED_SHAPE_CHARACTERS_MAX: Final = 2048


class _Member(NamedTuple):
    """A member of the restored object: its JSON text with `%s` for each leaf, and the names of the leaves."""

    name: str
    template: str
    leaves: tuple[str, ...]


def restore_log(row: Mapping[str, Any]) -> dict[str, Any]:
    """The log as an object for orjson: its values are strings and ready JSON text (orjson.Fragment).

    `row` has the columns timestamp_ns, seq, level, service, message, attributes (name → JSON text), shape,
    ingested_at_ns, source_ip and method. A log without a service has none here either.
    """
    timestamp_ns = row["timestamp_ns"]
    log: dict[str, Any] = {"timestamp": format_timestamp(timestamp_ns), "level": row["level"]}
    if row["service"]:
        log["service"] = row["service"]
    log["message"] = row["message"]
    log |= restore_attributes(row["attributes"], row["shape"])
    log["_id"] = f"{timestamp_ns:016x}-{row['seq']:016x}"
    log["_ingested_at"] = format_timestamp(row["ingested_at_ns"])
    log["_source_ip"] = row["source_ip"]
    log["_method"] = row["method"]
    return log


def restore_json(row: Mapping[str, Any]) -> bytes:
    """The same as JSON text on one line."""
    return orjson.dumps(restore_log(row))


def restore_attributes(attributes: Mapping[str, str], shape: str) -> dict[str, orjson.Fragment]:
    """The additional fields as they were sent, nested again by the shape (formats.attributes)."""
    if not shape:
        return {name: orjson.Fragment(text) for name, text in attributes.items()}
    members = _cached_members(shape) if len(shape) <= _CACHED_SHAPE_CHARACTERS_MAX else _members(shape)
    return {
        name: orjson.Fragment(template % tuple([attributes.get(leaf, "null") for leaf in leaves]))
        for name, template, leaves in members
    }


def _members(shape: str) -> tuple[_Member, ...]:
    return tuple(_member(name, inner) for name, inner in orjson.loads(shape).items())


_cached_members = lru_cache(_CACHED_SHAPES)(_members)


def _member(name: str, inner: Any) -> _Member:
    leaves: list[str] = []
    return _Member(name, _template(name, inner, leaves), tuple(leaves))


def _template(path: str, inner: Any, leaves: list[str]) -> str:
    """The text of what lies at a path; its leaves are added in the order of their places."""
    if not isinstance(inner, dict):
        leaves.append(path)
        return "%s"
    members = [
        orjson.dumps(name).decode().replace("%", "%%") + ":" + _template(f"{path}.{name}", below, leaves)
        for name, below in inner.items()
    ]
    return "{" + ",".join(members) + "}"
