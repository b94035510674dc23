"""How results are made of what was seen, and printed."""

from typing import Any

from benchmarks.corpus import LOGS_PER_REQUEST
from benchmarks.http_load import Outcome
from benchmarks.processes import Usage

SHOWN_US: float = 0.01


def by_ten_seconds(outcome: Outcome, elapsed_s: float) -> list[int]:
    """Logs a second in each ten seconds of the run."""
    counts = [0] * (int(elapsed_s // 10) + 1)
    for at_s, _ in outcome.acknowledged:
        counts[min(int(at_s // 10), len(counts) - 1)] += LOGS_PER_REQUEST
    widths = [min(10.0, elapsed_s - 10 * i) for i in range(len(counts))]
    return [round(count / width) for count, width in zip(counts, widths, strict=True) if width >= 1]


def cpu_per_log(
    began: dict[str, Usage], ended: dict[str, Usage], own_s: float, logs: int
) -> dict[str, float]:
    """µs of CPU a log, by process, the generator and the sum of the service."""
    if not logs:
        return {}
    spent = {
        name: max(usage.cpu_s - began.get(name, Usage(0.0, 0)).cpu_s, 0.0) for name, usage in ended.items()
    }
    figures = {name: round(s * 1e6 / logs, 2) for name, s in sorted(spent.items(), key=lambda item: -item[1])}
    shown = {name: figure for name, figure in figures.items() if figure >= SHOWN_US}
    return {
        "service": round(sum(spent.values()) * 1e6 / logs, 2),
        "generator": round(own_s * 1e6 / logs, 2),
        **shown,
    }


def show(result: dict[str, Any], verdict: str) -> None:
    """Print one line a figure, and the verdict last."""
    for name, value in result.items():
        print(f"{name:>30}  {value}")
    print(f"verdict: {verdict}", flush=True)
