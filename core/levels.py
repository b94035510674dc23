"""The six levels of a log, in the order of their rank, and the other names and numbers for them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

LEVELS: Final = ("trace", "debug", "info", "warn", "error", "fatal")
LEVEL_RANKS: Final[Mapping[str, int]] = MappingProxyType({name: rank for rank, name in enumerate(LEVELS)})
DEFAULT_LEVEL: Final = "info"
SYSLOG_SEVERITY_LEVELS: Final = (*("fatal", "fatal", "fatal", "error"), *("warn", "info", "info", "debug"))

# Names of syslog (RFC 5424 section 6.2.1) and systemd, Python, Java and log4j, Go, .NET, JavaScript and glog.
_ALIASES: Final = {
    "trace": "trc verbose finest finer silly all",
    "debug": "dbg debugging fine config",
    "info": "information informational inf notice note default log success ok http",
    "warn": "warning wrn warnings",
    "error": "err eror severe failure fail",
    "fatal": "critical crit ftl alert emerg emergency panic dpanic wtf",
}
_NAMED: Final = {
    **{name: name for name in LEVELS},
    **{alias: name for name, aliases in _ALIASES.items() for alias in aliases.split()},
}
_SENT: Final = {
    **_NAMED,
    "": DEFAULT_LEVEL,
    **{str(severity): name for severity, name in enumerate(SYSLOG_SEVERITY_LEVELS)},
    **{str(10 * rank): name for rank, name in enumerate(LEVELS, start=1)},  # pino and bunyan
}


def level_named(name: str) -> str | None:
    """The level of a name or alias in any case; None for a name that is none."""
    return _NAMED.get(name.lower())


def normalise_level(text: str) -> str | None:
    """The level that a sender means with a name, an alias or a number; None when it means none.

    Empty text is the default level. Numbers are syslog severities (0 to 7) or pino's (10 to 60).
    """
    return _SENT.get(text) or _SENT.get(text.strip().lower())
