"""Durations as people write them: `30s`, `5m`, `1h`, `7d`, or a number of seconds."""

import re
from typing import Annotated, Any, Final

from pydantic import BeforeValidator

from query.times import UNIT_NS

_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*(ms|s|sec|m|min|h|d|w)", re.ASCII)
_UNITS: Final = {"sec": "s", "min": "m"}


def duration_ns(value: str) -> int:
    """The length of a duration that was validated, in ns."""
    match = _DURATION.fullmatch(value)
    assert match, "the validator lets nothing else through"
    return round(float(match[1]) * UNIT_NS[_UNITS.get(match[2], match[2])])


def _duration(value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = f"{value:g}s" if value < 1e9 else "?"
    if not isinstance(value, str) or not _DURATION.fullmatch(value.strip()):
        raise ValueError("must be a duration: 30s, 5m, 1h, 7d or a number of seconds")
    if duration_ns(value.strip()) > 400 * UNIT_NS["d"]:
        raise ValueError("must be at most 400 days")
    return value.strip()


def _positive(value: str) -> str:
    if duration_ns(value) <= 0:
        raise ValueError("must be more than 0")
    return value


Duration = Annotated[str, BeforeValidator(_duration)]
PositiveDuration = Annotated[str, BeforeValidator(lambda value: _positive(_duration(value)))]
