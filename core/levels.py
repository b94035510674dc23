"""The six levels of a log, in the order of their rank, and the other names that people give them."""

from typing import Final

LEVELS: Final = ("trace", "debug", "info", "warn", "error", "fatal")
LEVEL_RANKS: Final = {name: rank for rank, name in enumerate(LEVELS)}

# Beside the names themselves: syslog's severities, Python's, Java's and pino's.
LEVEL_ALIASES: Final = {
    "verbose": "trace",
    "finest": "trace",
    "finer": "trace",
    "fine": "debug",
    "dbg": "debug",
    "information": "info",
    "informational": "info",
    "notice": "info",
    "warning": "warn",
    "err": "error",
    "severe": "error",
    "critical": "fatal",
    "crit": "fatal",
    "alert": "fatal",
    "emergency": "fatal",
    "emerg": "fatal",
    "panic": "fatal",
}


def level_named(name: str) -> str | None:
    """The level of a name or alias in any case; None for a name that is none."""
    lowered = name.lower()
    return lowered if lowered in LEVEL_RANKS else LEVEL_ALIASES.get(lowered)
