"""What an answer looks like on the wire: status codes, headers, and blocks joined into one stream."""

import json
import re
from typing import Final

CONTENT_TYPES: Final = {
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TSV": "text/tab-separated-values; charset=UTF-8",
}
# chDB hands a long answer out block by block, each written as a whole answer of its own. These formats can be
# joined again: the value is the number of heading lines that every block repeats.
HEADING_LINES: Final = {
    "Native": 0,
    "RowBinary": 0,
    "TabSeparated": 0,
    "TSV": 0,
    "TabSeparatedRaw": 0,
    "TSVRaw": 0,
    "CSV": 0,
    "JSONEachRow": 0,
    "JSONLines": 0,
    "NDJSON": 0,
    "JSONCompactEachRow": 0,
    "Values": 0,
    "TabSeparatedWithNames": 1,
    "TSVWithNames": 1,
    "CSVWithNames": 1,
    "JSONCompactEachRowWithNames": 1,
    "TabSeparatedWithNamesAndTypes": 2,
    "TSVWithNamesAndTypes": 2,
    "CSVWithNamesAndTypes": 2,
    "JSONCompactEachRowWithNamesAndTypes": 2,
}
ARROW_STREAM: Final = "ArrowStream"
_ARROW_END: Final = b"\xff\xff\xff\xff\x00\x00\x00\x00"

# src/Server/HTTP/exceptionCodeToHTTPStatus.cpp
_STATUS: Final = {
    400: (6, 8, 15, 25, 26, 27, 36, 38, 41, 44, 53, 62, 72, 117, 167, 168, 321, 427),
    403: (192, 193, 497, 516),
    404: (46, 47, 50, 56, 60, 63, 73, 78, 81, 115),
    408: (159,),
    413: (223,),
    501: (48,),
    503: (76, 202, 209, 439),
}
_STATUS_OF: Final = {code: status for status, codes in _STATUS.items() for code in codes}
_CODE: Final = re.compile(r"\bCode:\s*(\d+)\. ")


def exception_code(message: str) -> int:
    """The code in an exception's text; 1002 (UNKNOWN_EXCEPTION) when there is none."""
    match = _CODE.search(message)
    return int(match.group(1)) if match else 1002


def http_status(code: int) -> int:
    """The HTTP status that ClickHouse answers with an exception code."""
    return _STATUS_OF.get(code, 500)


def exception_text(message: str) -> str:
    """An exception as ClickHouse writes it into a body."""
    start = message.find("Code: ")
    return f"{message[max(start, 0) :].strip()}\n"


def content_type(format_name: str) -> str:
    """The Content-Type of a format."""
    return CONTENT_TYPES.get(format_name, "application/octet-stream")


def summary(
    *, read_rows: int = 0, read_bytes: int = 0, written_rows: int = 0, written_bytes: int = 0,
    result_rows: int = 0, result_bytes: int = 0, elapsed_s: float = 0.0,
) -> str:  # fmt: skip
    """The X-ClickHouse-Summary header: numbers as text."""
    numbers = {
        "read_rows": read_rows,
        "read_bytes": read_bytes,
        "written_rows": written_rows,
        "written_bytes": written_bytes,
        "total_rows_to_read": 0,
        "result_rows": result_rows,
        "result_bytes": result_bytes,
        "elapsed_ns": int(elapsed_s * 1e9),
        "memory_usage": 0,
    }
    return json.dumps({name: str(number) for name, number in numbers.items()}, separators=(",", ":"))


def can_stream(format_name: str) -> bool:
    """Whether blocks of this format can be joined."""
    return format_name in HEADING_LINES or format_name == ARROW_STREAM


class Joiner:
    """Joins the blocks of one answer: headings, schema and end marks are kept once."""

    def __init__(self, format_name: str) -> None:
        self._arrow = format_name == ARROW_STREAM
        self._heading_lines = HEADING_LINES.get(format_name, 0)
        self._first = True

    def join(self, block: bytes) -> bytes:
        """The part of the block that belongs to the joined answer."""
        first, self._first = self._first, False
        if self._arrow:
            block = block.removesuffix(_ARROW_END)
            return block if first else block[_arrow_message_bytes(block) :]
        if first or not self._heading_lines:
            return block
        return block.split(b"\n", self._heading_lines)[-1]

    def end(self) -> bytes:
        """What closes the joined answer."""
        return _ARROW_END if self._arrow and not self._first else b""


def _arrow_message_bytes(block: bytes) -> int:
    # The schema comes first: a continuation mark, the length of its metadata, no body.
    # https://arrow.apache.org/docs/format/Columnar.html#encapsulated-message-format
    return 8 + int.from_bytes(block[4:8], "little")
