"""Reading a statement as ClickHouse's HTTP interface does: SQL, an INSERT's data, the answer's format."""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

# An INSERT's own text is short; its data, of which only the beginning is looked at here, may be large.
HEAD_BYTES_MAX: Final = 1 << 20

# Quoted text and comments are stepped over, so that a word inside them is not taken for a keyword. What is
# not closed reaches to the end: to look for its end again from each next quote would take quadratic time.
_TOKEN: Final = re.compile(
    rb"""
    (?P<skip> '(?:[^'\\]|\\.|'')*+(?:'|\\?\Z) | `(?:[^`\\]|\\.)*+(?:`|\\?\Z) | "(?:[^"\\]|\\.)*+(?:"|\\?\Z)
            | --[^\n]* | /\*.*?(?:\*/|\Z) )
    | \bFORMAT\s+(?P<format>[A-Za-z_]\w*)
    | \b(?P<word>SELECT|VALUES|WITH|INFILE|SETTINGS)\b
    | (?P<end>;)
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_LEADING: Final = re.compile(rb"(?:\s+|--[^\n]*(?:\n|\Z)|/\*.*?\*/|\()*", re.DOTALL)
_WORD: Final = re.compile(rb"[A-Za-z]+")
_SELECTING: Final = frozenset({b"SELECT", b"WITH", b"FROM"})
_READING: Final = _SELECTING | {b"SHOW", b"DESC", b"DESCRIBE", b"EXPLAIN", b"EXISTS"}
_KILL_ID: Final = re.compile(rb"\bquery_id\b", re.IGNORECASE)


class Kind(Enum):
    """What a statement does, and so which threads run it."""

    READ = "read"
    INSERT = "insert"  # with data in the request
    KILL = "kill"
    OTHER = "other"


class SeveralStatements(ValueError):
    """The text holds more than one statement."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement: its SQL, the data that follows an INSERT, and the format named in it, if any."""

    kind: Kind
    sql: bytes
    format: str | None = None
    settings: bytes = b""  # an INSERT's SETTINGS clause
    data: bytes = b""
    streams: bool = False  # its answer can be had block by block


def read_statement(query: bytes, body: bytes) -> Statement:
    """Put the `query` parameter and the body together and tell the SQL from an INSERT's data.

    Raises SeveralStatements. Source: https://clickhouse.com/docs/interfaces/http
    """
    text = query + b"\n" + body if query and body else query or body
    start = _LEADING.match(text)
    word = _WORD.match(text, start.end() if start else 0)
    first = word.group().upper() if word else b""
    if first == b"INSERT":
        return _read_insert(text)
    kind = Kind.READ if first in _READING else Kind.KILL if first == b"KILL" else Kind.OTHER
    format_name = None
    for token in _TOKEN.finditer(text):
        if token["format"]:
            format_name = token["format"].decode()
        elif token["end"] and _rest(text, token.end()):
            raise SeveralStatements("multi-statements are not allowed")
    sql = text.rstrip().rstrip(b";")
    if kind is Kind.KILL:
        sql = _own_ids(sql)
    return Statement(kind, sql, format_name, streams=first in _SELECTING)


def _read_insert(text: bytes) -> Statement:
    settings: int | None = None
    for token in _TOKEN.finditer(text, 0, HEAD_BYTES_MAX):
        word = (token["word"] or b"").upper()
        if word in (b"SELECT", b"WITH", b"INFILE"):
            return Statement(Kind.OTHER, text)
        if word == b"SETTINGS":
            settings = token.start()
        if word == b"VALUES" or token["format"]:
            format_name = token["format"].decode() if token["format"] else "Values"
            data = _data(text, token.end()) if token["format"] else text[token.end() :]
            end = token.start() if settings is None else settings
            return Statement(Kind.INSERT, text[:end], format_name, text[end : token.start()], data)
    return Statement(Kind.OTHER, text)


def _data(text: bytes, position: int) -> bytes:
    """The data after a FORMAT clause: blanks and one line end, or a semicolon, stand between."""
    after = re.compile(rb"[ \t\r]*;?[ \t\r]*\n?").match(text, position)
    return text[after.end() if after else position :]


def _rest(text: bytes, position: int) -> bool:
    blank = re.compile(rb"(?:[\s;]+|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*", re.DOTALL).match(text, position)
    return blank is not None and blank.end() < len(text)


def _own_ids(sql: bytes) -> bytes:
    # chDB gives every query an id of its own; the one that the client knows travels as its log comment.
    return _KILL_ID.sub(b"if(Settings['log_comment'] != '', Settings['log_comment'], query_id)", sql)
