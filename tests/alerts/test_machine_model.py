"""Any course of windows, commands and time gives what a plain model of one group says it must give."""

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from alerts.rule import SECOND_NS, NoData
from tests.alerts.making import BEGIN_NS, make_rule
from tests.alerts.playing import EMPTY, Play

THRESHOLD, INTERVAL_S = 10, 10


@dataclass
class Model:
    """What people are promised, said with lists of values rather than with counters; times in seconds."""

    fire_after: int
    recover_after: int
    recovery: int
    cooldown: int
    repeat: int | None
    no_data_after: int | None
    now: float = BEGIN_NS / SECOND_NS
    status: str = "ok"
    values: list[int] = field(default_factory=list)  # since the status began
    empty: int = 0
    owed: bool = False
    told: bool = False  # of this episode
    told_at: float | None = None
    muted_until: float | None = None
    acknowledged_until: float | None = None

    def window(self, value: int | None) -> list[str]:
        self.now += INTERVAL_S
        self.empty = self.empty + 1 if value is None else 0
        if self.no_data_after is not None and self.empty >= self.no_data_after:
            self.values = []
            return ([] if self.status == "no_data" else self.move("no_data")) + self.pass_time()
        self.values.append(value or 0)
        said: list[str] = []
        if self.status != "alerting" and self.all_last(self.fire_after, lambda each: each > THRESHOLD):
            said = self.move("alerting")
        elif self.status != "ok" and self.all_last(self.recover_after, self.is_recovered):
            said = self.move("ok")
        return said + self.pass_time()

    def all_last(self, count: int, holds: object) -> bool:
        assert callable(holds)
        return len(self.values) >= count and all(holds(each) for each in self.values[-count:])

    def is_recovered(self, value: int) -> bool:
        return value <= (self.recovery if self.status == "alerting" else THRESHOLD)

    def move(self, status: str) -> list[str]:
        said = ["resolved"] if status == "ok" and self.told else []
        if self.status == "ok":
            self.told, self.acknowledged_until = False, None
        self.status, self.values, self.owed = status, [], status != "ok"
        return said

    def pass_time(self, seconds: float = 0) -> list[str]:
        self.now += seconds
        if self.muted_until is not None and self.now >= self.muted_until:
            self.muted_until = None
        if self.acknowledged_until is not None and self.now >= self.acknowledged_until:
            self.acknowledged_until = None
        if self.status == "ok" or self.muted_until is not None or self.acknowledged_until is not None:
            return []
        since = float("inf") if self.told_at is None else self.now - self.told_at
        if self.owed:
            return (
                [self.tell({"alerting": "firing"}.get(self.status, "no_data"))]
                if since >= self.cooldown
                else []
            )
        if self.repeat is not None and since >= max(self.repeat, self.cooldown):
            return [self.tell("repeat")]
        return []

    def tell(self, kind: str) -> str:
        self.owed, self.told, self.told_at = False, True, self.now
        return kind


class RuleMachine(RuleBasedStateMachine):
    @initialize(
        counts=st.tuples(st.integers(1, 3), st.integers(1, 3)),
        recovery=st.sampled_from([5, THRESHOLD]),
        cooldown=st.sampled_from([0, 25, 60]),
        repeat=st.none() | st.just(30),
        no_data=st.none() | st.integers(1, 2),
    )
    def begin(
        self, counts: tuple[int, int], recovery: int, cooldown: int, repeat: int | None, no_data: int | None
    ) -> None:
        self.model = Model(*counts, recovery, cooldown, repeat, no_data)
        self.play = Play(
            make_rule(
                threshold=THRESHOLD,
                recovery=recovery,
                fire_after=counts[0],
                recover_after=counts[1],
                cooldown_ns=cooldown * SECOND_NS,
                repeat_ns=None if repeat is None else repeat * SECOND_NS,
                no_data=None if no_data is None else NoData(no_data, "no_data"),
            )
        )

    @rule(value=st.sampled_from([0, 5, 6, 10, 11, 100, None]))
    def window(self, value: int | None) -> None:
        assert self.play.see(EMPTY if value is None else value) == self.model.window(value)

    @rule(seconds=st.sampled_from([1, 10, 30, 100]))
    def time_passes(self, seconds: int) -> None:
        assert self.play.wait(seconds) == self.model.pass_time(seconds)

    @rule(seconds=st.none() | st.sampled_from([15, 50]))
    def mute(self, seconds: int | None) -> None:
        self.model.now += 1e-9
        self.model.muted_until = float("inf") if seconds is None else self.model.now + seconds
        assert self.play.do("mute", seconds=seconds) == self.model.pass_time()

    @rule()
    def unmute(self) -> None:
        self.model.now += 1e-9
        self.model.muted_until = None
        assert self.play.do("unmute") == self.model.pass_time()

    @rule(seconds=st.none() | st.sampled_from([15, 50]))
    def acknowledge(self, seconds: int | None) -> None:
        self.model.now += 1e-9
        if self.model.status != "ok":
            self.model.acknowledged_until = float("inf") if seconds is None else self.model.now + seconds
        assert self.play.do("acknowledge", seconds=seconds) == self.model.pass_time()

    @rule()
    def unacknowledge(self) -> None:
        self.model.now += 1e-9
        if self.model.status != "ok":
            self.model.acknowledged_until = None
        assert self.play.do("unacknowledge") == self.model.pass_time()

    @invariant()
    def the_status_is_that_of_the_model(self) -> None:
        if hasattr(self, "model"):
            assert self.play.state.status == self.model.status

    @invariant()
    def no_notice_is_like_another(self) -> None:
        if hasattr(self, "play"):
            keys = [(each.episode, each.kind, each.number) for each in self.play.notices]
            assert len(keys) == len(set(keys))


RuleMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestRuleMachine = RuleMachine.TestCase
