"""Exports: all matches as JSON lines or CSV, page by page, so that memory stays bounded.

A page goes on where the one before ended (the cursor of searches), so that an export neither skips nor
repeats a log, takes its turn among the searches with each page, and survives a restart of the planner.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from formats.restore import restore_attributes
from query.answers import Row, answer_log, position
from query.now import resolve_now
from query.parser import parse
from query.request import ExportRequest
from query.search import Position, Search, range_of

PAGE_ROWS: Final = 10_000

# The columns of CSV without a projection: additional fields differ from log to log, and share one.
CSV_FIELDS: Final = (
    "timestamp",
    "level",
    "service",
    "message",
    "fields",
    "_id",
    "_ingested_at",
    "_source_ip",
    "_method",
)


@dataclass(frozen=True, slots=True)
class ExportCursor:
    """Where an export goes on: behind which log, how many there were, and when it began (its `now`)."""

    after: Position | None
    exported: int
    now_ns: int


@dataclass(frozen=True, slots=True)
class ExportPage:
    """Some of an export's text, and where it goes on; None at its end."""

    text: bytes
    next: ExportCursor | None


def export_search(request: ExportRequest, cursor: ExportCursor) -> Search:
    """The search of the page at the cursor. Raises QuerySyntaxError and InvalidSearch."""
    left = PAGE_ROWS if request.limit is None else min(PAGE_ROWS, request.limit - cursor.exported)
    query = resolve_now(parse(request.query), cursor.now_ns)
    range_ = range_of(request, cursor.now_ns)
    return Search(query, range_, request.order, left, after=cursor.after, count="none")


def export_page(
    rows: Sequence[Row], search: Search, request: ExportRequest, cursor: ExportCursor
) -> ExportPage:
    """The page that the search found."""
    text = encoded(rows, request, is_first=cursor.exported == 0)
    exported = cursor.exported + len(rows)
    if len(rows) < search.limit or exported == request.limit:
        return ExportPage(text, None)
    return ExportPage(text, ExportCursor(position(rows[-1]), exported, cursor.now_ns))


def encoded(rows: Sequence[Row], request: ExportRequest, is_first: bool) -> bytes:
    """A page as text; CSV begins with the names of its columns."""
    if request.format == "jsonl":
        return b"".join(
            orjson.dumps(answer_log(row, request.fields), option=orjson.OPT_APPEND_NEWLINE) for row in rows
        )
    names = CSV_FIELDS if request.fields is None else request.fields
    text = io.StringIO()
    writer = csv.writer(text)
    if is_first:
        writer.writerow(names)
    writer.writerows(
        [_cell(log.get(name)) for name in names] for log in (_csv_log(row, request) for row in rows)
    )
    return text.getvalue().encode()


def _csv_log(row: Row, request: ExportRequest) -> dict[str, Any]:
    log = answer_log(row, request.fields)
    if request.fields is None:
        log["fields"] = orjson.Fragment(orjson.dumps(restore_attributes(row["attributes"], row["shape"])))
    return log


def _cell(value: Any) -> str:
    """Strings without quotes, anything else as JSON text, nothing for what is missing."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    text = orjson.dumps(value)
    plain = orjson.loads(text)
    return plain if isinstance(plain, str) else text.decode()
