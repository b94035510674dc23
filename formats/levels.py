"""Severity levels: the six names, their order, and the other spellings that senders use."""

from types import MappingProxyType
from typing import Final

LEVELS: Final = ("trace", "debug", "info", "warn", "error", "fatal")  # from the least severe
LEVEL_RANK: Final = MappingProxyType({name: rank for rank, name in enumerate(LEVELS)})
DEFAULT_LEVEL: Final = "info"

# Names of log4j, Python, Go, .NET, syslog (RFC 5424 section 6.2.1), glog and systemd.
_ALIASES: Final = {
    "trace": ("trc", "verbose", "finest", "finer", "silly", "all"),
    "debug": ("dbg", "debugging", "fine", "config"),
    "info": (
        "information",
        "informational",
        "inf",
        "notice",
        "note",
        "default",
        "log",
        "success",
        "ok",
        "http",
    ),
    "warn": ("warning", "wrn", "warnings"),
    "error": ("err", "eror", "severe", "failure", "fail"),
    "fatal": ("critical", "crit", "ftl", "alert", "emerg", "emergency", "panic", "dpanic", "wtf"),
}
# Syslog severities 0 to 7, then the numbers of pino and bunyan, 10 to 60.
_NUMBERS: Final = {
    **dict(enumerate(("fatal", "fatal", "fatal", "error", "warn", "info", "info", "debug"))),
    **{10 * rank: name for rank, name in enumerate(LEVELS, start=1)},
}
_KNOWN: Final = {
    **{name: name for name in LEVELS},
    **{alias: name for name, aliases in _ALIASES.items() for alias in aliases},
    **{str(number): name for number, name in _NUMBERS.items()},
    "": DEFAULT_LEVEL,
}
SYSLOG_SEVERITY_LEVELS: Final = tuple(_NUMBERS[severity] for severity in range(8))


def normalise_level(text: str) -> str | None:
    """The level that a name, alias or number means, in any case; None when it means none.

    Empty text is the default level. Numbers are syslog severities (0 to 7) or pino's (10 to 60).
    """
    return _KNOWN.get(text) or _KNOWN.get(text.strip().lower())
