"""The query language once more, in plain Python over one log: what the store is compared with.

It shares the parser's nodes with the product, and nothing of the way to SQL.
"""

import ipaddress
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import translate
from functools import lru_cache
from typing import Any

from core.levels import LEVELS
from query.ast import (
    And,
    Cidr,
    Compare,
    FieldEquals,
    FieldExists,
    MatchAll,
    Node,
    Not,
    Or,
    Range,
    Regex,
    Wildcard,
    Words,
)
from query.literals import json_spellings
from query.pattern import Glob, Pattern
from query.times import read_time

SIGNS = " \t\n\v\f\r!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}"
TIMES = ("timestamp", "_ingested_at")
COLUMNS = {"service": "service", "_source_ip": "source_ip", "_method": "method"}
ISO = re.compile(r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?([Zz]|[+-]\d\d:?\d\d)?)?", re.ASCII)
NUMBER = re.compile(
    r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|infinity|nan)", re.ASCII | re.IGNORECASE
)


@dataclass(frozen=True)
class StoredLog:
    """One row of the table."""

    timestamp_ns: int
    seq: int
    level: str
    service: str
    message: str
    attributes: dict[str, str]
    ingested_at_ns: int
    source_ip: str
    method: str


def matches(node: Node, log: StoredLog) -> bool:
    match node:
        case MatchAll():
            return True
        case Not(operand):
            return not matches(operand, log)
        case And(operands):
            return all(matches(operand, log) for operand in operands)
        case Or(operands):
            return any(matches(operand, log) for operand in operands)
        case Words(text):
            return (
                words_follow([[word] for word in split(text)], log.message)
                if split(text)
                else text in log.message
            )
    return field_matches(node, log)


@lru_cache(10_000)
def split(text: str) -> tuple[str, ...]:
    spaced = "".join(" " if sign in SIGNS else sign for sign in text.lower())
    return tuple(word for word in spaced.split(" ") if word)


def words_follow(wanted: list[Any], message: str) -> bool:
    words = split(message)
    return any(
        all(covers(each, word) for each, word in zip(wanted, words[first:], strict=False))
        for first in range(len(words) - len(wanted) + 1)
    )


def covers(pattern: Any, text: str) -> bool:
    """Whether a wildcard pattern covers the whole text."""
    return expression(tuple(pattern)).fullmatch(text) is not None


@lru_cache(10_000)
def expression(pattern: Pattern) -> re.Pattern[str]:
    glob = "".join(
        part.value if isinstance(part, Glob) else re.sub(r"([*?[])", r"[\1]", part) for part in pattern
    )
    return re.compile(translate(glob))


def message_patterns(pattern: Pattern) -> list[Any]:
    words: list[list[Any]] = [[]]
    for part in pattern:
        for sign in [part] if isinstance(part, Glob) else part.lower():
            if sign in SIGNS if isinstance(sign, str) else False:
                words.append([])
            else:
                words[-1].append(sign)
    return [word for word in words if word]


def field_matches(node: Any, log: StoredLog) -> bool:
    name = node.field
    if name in TIMES:
        ns = log.timestamp_ns if name == "timestamp" else log.ingested_at_ns
        return isinstance(node, FieldExists) or time_between(ns, bounds_of(node))
    if name == "_id":
        return isinstance(node, FieldExists) or node.value == f"{log.timestamp_ns:016x}-{log.seq:016x}"
    if name == "level":
        return level_matches(node, log.level)
    if name == "message":
        return message_matches(node, log.message)
    if name in COLUMNS:
        return text_matches(node, getattr(log, COLUMNS[name]))
    return json_matches(node, log.attributes.get(name))


def bounds_of(node: Any) -> list[tuple[str, str]]:
    if isinstance(node, FieldEquals):
        return [(">=", node.value), ("<=", node.value)]
    if isinstance(node, Compare):
        return [(node.operator, node.value)]
    low, high = ">=" if node.low_inclusive else ">", "<=" if node.high_inclusive else "<"
    return [(low, node.low), (high, node.high)]


def ordered(value: Any, operator: str, limit: Any) -> bool:
    return bool(
        {">": value > limit, ">=": value >= limit, "<": value < limit, "<=": value <= limit}[operator]
    )


def time_between(ns: int, bounds: list[tuple[str, str]]) -> bool:
    for operator, literal in bounds:
        span = read_time(literal, 0)
        assert span is not None
        holds = {
            ">": ns >= span.end_ns,
            ">=": ns >= span.start_ns,
            "<": ns < span.start_ns,
            "<=": ns < span.end_ns,
        }
        if not holds[operator]:
            return False
    return True


def level_matches(node: Any, level: str) -> bool:
    match node:
        case FieldExists():
            return True
        case Wildcard(_, pattern):
            return covers(pattern, level)
        case Regex(_, source):
            return re.search(source, level) is not None
    return all(
        ordered(LEVELS.index(level), operator, LEVELS.index(value)) for operator, value in bounds_of(node)
    )


def message_matches(node: Any, message: str) -> bool:
    match node:
        case FieldExists():
            return True
        case Wildcard(_, pattern):
            return words_follow(message_patterns(pattern), message)
        case Regex(_, source):
            return re.search(source, message) is not None
        case Cidr(_, network):
            return in_network(message, network)
    return value_between(message, bounds_of(node), is_json=False)


def text_matches(node: Any, text: str) -> bool:
    """A plain string; one that is empty is missing."""
    match node:
        case FieldExists():
            return text != ""
        case FieldEquals(_, value):
            return text == value
    return text != "" and plain_matches(node, text, is_json=False)


def json_matches(node: Any, stored: str | None) -> bool:
    if stored is None:
        return False
    if isinstance(node, FieldExists):
        return True
    values = json.loads(stored) if stored.startswith("[") else [None]
    texts = [json.dumps(each, ensure_ascii=False, separators=(",", ":")) for each in values]
    texts = texts if stored.startswith("[") else [stored]
    if isinstance(node, FieldEquals):
        equal = {json.dumps(node.value, ensure_ascii=False), *json_spellings(node.value)}
        return stored in equal or any(text in equal for text in texts)
    return any(json_value_matches(node, text) for text in texts)


def json_value_matches(node: Any, text: str) -> bool:
    if isinstance(node, Compare | Range):
        return value_between(text, bounds_of(node), is_json=True)
    return plain_matches(node, json.loads(text) if text.startswith('"') else text, is_json=True)


def plain_matches(node: Any, text: str, is_json: bool) -> bool:
    match node:
        case Wildcard(_, pattern):
            return covers(pattern, text)
        case Regex(_, source):
            return re.search(source, text) is not None
        case Cidr(_, network):
            return in_network(text, network)
    return value_between(text, bounds_of(node), is_json)


def value_between(text: str, bounds: list[tuple[str, str]], is_json: bool) -> bool:
    literals = [literal for _, literal in bounds]
    plain = json.loads(text) if is_json and text.startswith('"') else text
    inner = text.strip('"')
    if is_json and all(is_number(literal) for literal in literals):
        return NUMBER.fullmatch(inner) is not None and all(
            ordered(exact(inner), operator, exact(literal)) for operator, literal in bounds
        )
    if is_json and all(read_time(literal, 0) is not None for literal in literals):
        ns = instant(inner) if text.startswith('"') else None
        return ns is not None and time_between(ns, bounds)
    if all(address(literal) is not None for literal in literals):
        return address(plain) is not None and all(
            ordered(address(plain), operator, address(literal)) for operator, literal in bounds
        )
    if is_json and not text.startswith('"'):
        return False
    return all(ordered(plain.encode(), operator, literal.encode()) for operator, literal in bounds)


def is_number(text: str) -> bool:
    return NUMBER.fullmatch(text) is not None and math.isfinite(float(text))


def exact(text: str) -> float | int:
    return int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text)


def instant(text: str) -> int | None:
    if not ISO.fullmatch(text):
        return None
    whole, dot, fraction = re.sub(r"([Zz]|[+-]\d\d:?\d\d)$", "", text).partition(".")
    zone = text[len(whole) + len(dot) + len(fraction) :].upper()
    moment = datetime.fromisoformat(whole.replace(" ", "T") + zone)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(moment.timestamp()) * 10**9 + int(fraction.ljust(9, "0") or 0)


def address(text: str) -> int | None:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    return int(found) if found.version == 6 else int(ipaddress.IPv6Address(f"::ffff:{found}"))


def in_network(text: str, network: str) -> bool:
    found, parsed = address(text), ipaddress.ip_network(network)
    low, high = address(str(parsed[0])), address(str(parsed[-1]))
    return found is not None and low is not None and high is not None and low <= found <= high


Numbers = Callable[[StoredLog], float | None]


def number_of(name: str) -> Numbers:
    """The finite number in a field, as aggregations see it."""

    def read(log: StoredLog) -> float | None:
        text = log.attributes.get(name, "").strip('"')
        number = float(text) if NUMBER.fullmatch(text) else math.nan
        return number if math.isfinite(number) else None

    return read
