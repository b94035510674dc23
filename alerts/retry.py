"""When a notice is tried again, and when not."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final, Literal

PAUSE_S_MIN: Final = 1.0
PAUSE_S_MAX: Final = 300.0
RETRY_AFTER_S_MAX: Final = 3600.0  # a receiver that asks for more is asked again after this
RETRIED_STATUSES: Final = frozenset({408, 425, 429})  # and all of 5xx


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attempt came to; `retry_after_s` is the receiver's own wish, `in_doubt` says that it may have
    taken the notice although it did not say so.
    """

    kind: Literal["sent", "retry", "failed"]
    reason: str = ""
    retry_after_s: float | None = None
    in_doubt: bool = False


def outcome_of_status(status: int, retry_after: str | None, text: str, now_s: float) -> Outcome:
    """The outcome of an HTTP answer."""
    if 200 <= status < 300:
        return Outcome("sent")
    reason = f"the receiver answered {status}" + (f": {text}" if text else "")
    if status in RETRIED_STATUSES or status >= 500:
        return Outcome("retry", reason, read_retry_after(retry_after, now_s), in_doubt=status >= 500)
    return Outcome("failed", reason)


def read_retry_after(text: str | None, now_s: float) -> float | None:
    """Seconds to wait: RFC 9110 10.2.3, a number of seconds or a date. None for what is neither."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), RETRY_AFTER_S_MAX)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(0.0, moment.timestamp() - now_s), RETRY_AFTER_S_MAX)


def pause_s(
    attempts: int, retry_after_s: float | None, uniform: Callable[[float, float], float] = random.uniform
) -> float:
    """How long to wait after so many attempts: twice as long each time, half of it by chance; never before
    asked.
    """
    longest = min(PAUSE_S_MIN * 2.0 ** min(attempts - 1, 30), PAUSE_S_MAX)
    pause = uniform(longest / 2, longest)
    return pause if retry_after_s is None else max(retry_after_s, PAUSE_S_MIN) + uniform(0, PAUSE_S_MIN)
