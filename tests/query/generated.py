"""Logs and queries made at random of a small vocabulary, so that they meet: awkward values included."""

import random
from typing import Any

from core.levels import LEVELS
from query.ast import (
    Cidr,
    Compare,
    FieldEquals,
    FieldExists,
    MatchAll,
    Node,
    Range,
    Regex,
    Wildcard,
    Words,
    conjunction,
    disjunction,
    negation,
)
from query.pattern import Glob, normal_pattern
from tests.query.stored_logs import at

WORDS = [
    "timeout",
    "Database",
    "request",
    "äther",
    "ÄTHER",
    "user_7",
    "a%b",
    "💥",
    "C:\\temp",
    "x",
    "42",
    "~tilde",
    "can't",
]
SERVICES = ["api", "web", "payments", "", "pay'ments", "a\\b", "ünï"]
ADDRESSES = ["10.1.2.3", "10.200.0.1", "192.168.0.7", "::1", "2001:db8::5", "::ffff:10.1.2.9", "no address"]
TIMES = [
    "2024-01-15",
    "2024-01-15T10:30:00Z",
    "2024-01-15 10:30:00.5",
    "2024-01-16T00:00:00+02:00",
    "2023-12-31",
]
STRINGS = [
    "abc",
    "ABC",
    "503",
    "1.5",
    "",
    "a b",
    'say "hi"',
    "back\\slash",
    "tab\there",
    "ünï",
    "x" * 140,
    "x" * 140 + "y",
]
STRINGS += ["true", "null", "[1]", "{}", "%", "_", "*", "a,b", "'; DROP TABLE logs; --"]
NUMBERS = [
    "0",
    "1",
    "5",
    "503",
    "-7",
    "1.5",
    "1.0",
    "1e3",
    "5000",
    "9007199254740993",
    "12345678901234567890",
    "-0.25",
]
NAMES = ["status", "duration_ms", "user.id", "tags", "ip", "created", "weird name", "a'b", "_id2", "ключ"]
REGEXES = ["time.ut", "^api$", "[0-9]+", "(?i)database", "a|b", "x{2,5}", "\\\\", "[äö]", "^$", "o+"]


class Generator:
    """Draws from one seeded source."""

    def __init__(self, seed: int) -> None:
        self.source = random.Random(seed)

    def log(self) -> dict[str, Any]:
        choose, chance = self.source.choice, self.source.random
        log: dict[str, Any] = {
            "timestamp": at(
                self.source.choice([0, 60, 600, 3600, 7200, 90000]) + self.source.randrange(3) / 8
            ),
            "level": choose(LEVELS),
            "message": self.source.choice([" ", "-", ", "]).join(
                choose(WORDS) for _ in range(self.source.randrange(5))
            ),
        }
        if chance() < 0.9:
            log["service"] = choose(SERVICES)
        if chance() < 0.6:
            log["status"] = self.value()
        if chance() < 0.6:
            log["duration_ms"] = self.number()
        if chance() < 0.4:
            log["user"] = {"id": self.value(), "deep": {"er": self.value()}}
        if chance() < 0.4:
            log["tags"] = [self.element() for _ in range(self.source.randrange(4))]
        if chance() < 0.4:
            log["ip"] = choose(ADDRESSES)
        if chance() < 0.4:
            log["created"] = choose(TIMES)
        if chance() < 0.3:
            log[choose(["weird name", "a'b", "_id", "ключ"])] = self.value()
        return log

    def value(self) -> Any:
        kind = self.source.randrange(10)
        if kind < 4:
            return self.source.choice(STRINGS)
        if kind < 8:
            return self.number()
        return self.source.choice([True, False, None, [], {}, [1, "503"]])

    def number(self) -> int | float:
        text = self.source.choice(NUMBERS)
        return float(text) if "." in text or "e" in text else min(int(text), 2**64 - 1)

    def element(self) -> Any:
        return self.source.choice(
            ["abc", "503", 503, 5, 1.5, True, None, "a b", "10.1.2.3", "2024-01-15", "ünï"]
        )

    def query(self, depth: int = 3) -> Node:
        kind = self.source.randrange(10) if depth else 9
        operands = [self.query(depth - 1) for _ in range(self.source.randrange(2, 4))] if kind < 6 else []
        if kind < 3:
            return conjunction(operands)
        if kind < 6:
            return disjunction(operands)
        return negation(self.query(depth - 1)) if kind == 6 else self.leaf()

    def leaf(self) -> Node:
        choose = self.source.choice
        makers = [self.words, self.words, self.message, self.level, self.service, self.time, self.address]
        makers += [self.field, self.field, self.field, self.exists]
        return choose(makers)()

    def words(self) -> Node:
        words = [self.source.choice(WORDS) for _ in range(self.source.choice([1, 1, 2, 3]))]
        return (
            Words(self.source.choice([" ", "-", ", "]).join(words))
            if self.source.random() < 0.95
            else Words("- ")
        )

    def message(self) -> Node:
        if self.source.random() < 0.3:
            return Regex("message", self.source.choice(REGEXES))
        return self.wildcard("message", self.source.choice(WORDS))

    def level(self) -> Node:
        level, other = self.source.choice(LEVELS), self.source.choice(LEVELS)
        return self.source.choice(
            [
                FieldEquals("level", level),
                Compare("level", self.operator(), level),
                Range("level", level, other, self.yes(), self.yes()),
                self.wildcard("level", level),
                Regex("level", "r.?r"),
            ]
        )

    def service(self) -> Node:
        service = self.source.choice([each for each in SERVICES if each])
        return self.source.choice(
            [
                FieldEquals("service", service),
                self.wildcard("service", service),
                Regex("service", self.source.choice(REGEXES)),
                Compare("service", self.operator(), service),
            ]
        )

    def time(self) -> Node:
        name = self.source.choice(["timestamp", "timestamp", "_ingested_at"])
        times = [*TIMES, at(600), at(600.125), at(3600)]
        low, high = sorted([self.source.choice(times), self.source.choice(times)])
        return self.source.choice(
            [
                FieldEquals(name, low),
                Compare(name, self.operator(), low),
                Range(name, low, high, self.yes(), self.yes()),
            ]
        )

    def address(self) -> Node:
        name = self.source.choice(["_source_ip", "ip", "tags", "service"])
        network = self.source.choice(
            ["10.0.0.0/8", "192.168.0.0/16", "::1/128", "2001:db8::/32", "0.0.0.0/0"]
        )
        return self.source.choice(
            [
                Cidr(name, network),
                FieldEquals(name, self.source.choice(ADDRESSES)),
                Compare(name, self.operator(), self.source.choice(ADDRESSES)),
            ]
        )

    def field(self) -> Node:
        name, literals = self.source.choice([*NAMES, "user.deep.er", "__id"]), [*STRINGS, *NUMBERS, *TIMES]
        low, high = self.source.choice(literals), self.source.choice(literals)
        return self.source.choice(
            [
                FieldEquals(name, low),
                FieldEquals(name, low),
                Compare(name, self.operator(), low),
                Compare(name, self.operator(), self.source.choice(NUMBERS)),
                Range(name, low, high, self.yes(), self.yes()),
                Range(name, self.source.choice(NUMBERS), self.source.choice(NUMBERS), self.yes(), self.yes()),
                self.wildcard(name, low),
                Regex(name, self.source.choice(REGEXES)),
            ]
        )

    def exists(self) -> Node:
        if self.source.random() < 0.1:
            return MatchAll()
        return FieldExists(
            self.source.choice([*NAMES, "service", "message", "level", "_source_ip", "nothing"])
        )

    def wildcard(self, name: str, text: str) -> Node:
        """The text with some of its parts replaced by wildcards."""
        parts: list[str | Glob] = list(text[:20])
        for _ in range(self.source.randrange(1, 4)):
            begin = self.source.randrange(len(parts) + 1)
            end = min(len(parts), begin + self.source.randrange(4))
            parts[begin:end] = [self.source.choice(list(Glob))]
        pattern = normal_pattern(parts)
        if pattern == (Glob.ANY,):
            return FieldExists(name)
        if not any(isinstance(part, Glob) for part in pattern):
            return FieldEquals(name, text) if name != "message" else Words(text)
        return Wildcard(name, pattern)

    def operator(self) -> Any:
        return self.source.choice([">", ">=", "<", "<="])

    def yes(self) -> bool:
        return self.source.random() < 0.5
