"""A clock that stands still until it is moved."""

import asyncio


class ManualClock:
    def __init__(self, now_ns: int = 1_705_312_800_000_000_000) -> None:
        self._now_ns, self._monotonic_s = now_ns, 1000.0

    def now_ns(self) -> int:
        return self._now_ns

    def monotonic_s(self) -> float:
        return self._monotonic_s

    async def sleep(self, seconds: float) -> None:
        self.move(seconds)
        await asyncio.sleep(0)

    def move(self, seconds: float) -> None:
        self._monotonic_s += seconds
        self._now_ns += int(seconds * 1e9)
