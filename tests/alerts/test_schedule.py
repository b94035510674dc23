"""The grid of evaluations: no drift, nothing twice, nothing lost in silence; and the clock being set."""

from hypothesis import given
from hypothesis import strategies as st

from alerts.rule import SECOND_NS
from alerts.schedule import MADE_UP_MAX, SteadyClock, due_windows, next_due_at_ns, phase_of
from tests.alerts.making import BEGIN_NS, MovedClock, make_rule


@given(
    interval_s=st.integers(1, 90),
    delay_s=st.integers(0, 30),
    phase_s=st.integers(0, 89),
    waits=st.lists(st.integers(0, 400), min_size=1, max_size=20),
)
def test_every_point_of_the_grid_is_evaluated_or_recorded_as_skipped_once(
    interval_s: int, delay_s: int, phase_s: int, waits: list[int]
) -> None:
    phase_ns = phase_s % interval_s * SECOND_NS
    rule = make_rule(interval_s=interval_s, delay_ns=delay_s * SECOND_NS, phase_ns=phase_ns)
    now_ns = BEGIN_NS
    first = due_windows(rule, 0, now_ns).windows
    assert len(first) == 1
    seen = [first[0].until_ns]
    for wait in waits:
        now_ns += wait * SECOND_NS
        due = due_windows(rule, seen[-1], now_ns)
        if due.skipped:
            seen.append(due.skipped_until_ns)
            assert (due.skipped_until_ns - seen[-2]) // rule.interval_ns == due.skipped
            assert len(due.windows) == MADE_UP_MAX
        for window in due.windows:
            assert window.until_ns == seen[-1] + rule.interval_ns
            assert window.until_ns % rule.interval_ns == phase_ns
            assert window.until_ns + rule.delay_ns <= now_ns
            seen.append(window.until_ns)
        assert next_due_at_ns(rule, seen[-1]) > now_ns


def test_a_changed_interval_goes_on_from_its_new_grid() -> None:
    [window] = due_windows(
        make_rule(interval_s=60), BEGIN_NS + 10 * SECOND_NS, BEGIN_NS + 70 * SECOND_NS
    ).windows
    assert window.until_ns == BEGIN_NS + 60 * SECOND_NS


def test_rules_of_one_interval_take_turns() -> None:
    interval_ns = 10 * SECOND_NS
    phases = [phase_of(f"alert-{number}", interval_ns) for number in range(100)]
    assert all(0 <= phase < interval_ns for phase in phases)
    by_second = [sum(phase // SECOND_NS == second for phase in phases) for second in range(10)]
    assert max(by_second) <= 25
    assert phases[0] == phase_of("alert-0", interval_ns)


class SetClock(MovedClock):
    """A clock whose wall time is set apart from its monotonic time."""

    wall_ns = 0

    def now_ns(self) -> int:
        return self.at_ns + self.wall_ns


def test_the_steady_clock_runs_with_the_monotonic_one_and_follows_a_clock_that_was_set() -> None:
    clock = SetClock()
    steady = SteadyClock(clock)
    clock.wall_ns = SECOND_NS  # slewed
    assert steady.now_ns() == BEGIN_NS
    clock.wall_ns = 3600 * SECOND_NS  # set
    assert steady.now_ns() == BEGIN_NS + 3600 * SECOND_NS
    clock.at_ns += SECOND_NS
    assert steady.now_ns() == BEGIN_NS + 3601 * SECOND_NS
