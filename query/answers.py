"""Stored rows → the logs of an answer."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from core.packed_fields import unpack_fields
from formats.restore import restore_log
from query.search import Position

Row = Mapping[str, Any]

LOG_NAMES: Final = (
    "timestamp_ns",
    "seq",
    "level",
    "service",
    "message",
    "attributes",
    "shape",
    "ingested_at_ns",
    "source_ip",
    "method",
)


def stored_rows(rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    """The rows of a page by column name; `attributes` maps names to JSON texts."""
    named = [dict(zip(LOG_NAMES, row, strict=True)) for row in rows]
    for row in named:
        row["attributes"] = unpack_fields(row["attributes"])
    return named


def position(row: Row) -> Position:
    """The place of a stored row in the order of all logs."""
    return Position(row["timestamp_ns"], row["seq"])


def answer_log(row: Row, fields: Sequence[str] | None) -> dict[str, Any]:
    """The log as it was sent, with its metadata, fit for orjson.

    Of a projection its id and these fields only; a nested one, `user.id`, stands under its whole name.
    """
    log = restore_log(row)
    if fields is None:
        return log
    chosen = {name: log[name] for name in ("_id", *fields) if name in log}
    attributes = row["attributes"]
    for name in fields:
        if name not in chosen and name in attributes:
            chosen[name] = orjson.Fragment(attributes[name])
    return chosen
