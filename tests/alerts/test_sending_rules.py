"""What is decided without a network: addresses, pauses, outcomes, templates, masks and texts."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.addresses import is_public
from alerts.clickhouse_http import ClickHouseHttp, StoreUrl
from alerts.notice import duration_text, number_text
from alerts.render_webhook import signature
from alerts.retry import PAUSE_S_MAX, RETRY_AFTER_S_MAX, outcome_of_status, pause_s, read_retry_after
from alerts.targets import MASK, masked, masked_url, unmasked
from alerts.template import fill, template_problem

ROOT = Path(__file__).parent.parent.parent
NOW_S = 1_700_000_000.0


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("ff02::1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:93.184.215.14", True),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("not an address", False),
    ],
)
def test_which_addresses_are_of_the_public_internet(address: str, public: bool) -> None:
    assert is_public(address) is public


@given(attempts=st.integers(1, 100), share=st.floats(0, 1))
def test_pauses_grow_to_a_bound_and_half_of_each_is_chance(attempts: int, share: float) -> None:
    pause = pause_s(attempts, None, lambda low, high: low + share * (high - low))
    longest = min(2.0 ** (attempts - 1), PAUSE_S_MAX)
    assert longest / 2 <= pause <= longest


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("999999999999", RETRY_AFTER_S_MAX),
        (format_datetime(datetime.fromtimestamp(NOW_S + 30, UTC), usegmt=True), 30),
        (format_datetime(datetime.fromtimestamp(NOW_S - 30, UTC), usegmt=True), 0),
        ("soon", None),
        ("-5", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str | None, seconds: float | None) -> None:
    assert read_retry_after(text, NOW_S) == seconds


@pytest.mark.parametrize(
    ("status", "kind"),
    [(200, "sent"), (204, "sent"), (408, "retry"), (425, "retry"), (429, "retry"), (500, "retry"),
     (503, "retry"), (301, "failed"), (400, "failed"), (404, "failed"), (410, "failed")],
)  # fmt: skip
def test_what_a_status_means(status: int, kind: str) -> None:
    outcome = outcome_of_status(status, None, "", NOW_S)
    assert (outcome.kind, outcome.in_doubt) == (kind, status >= 500)


RULE = {"name": "x", "labels": {"team": "b"}}
VALUES: dict[str, Any] = {"value": 3.0, "group": "a", "error": None, "rule": RULE}


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("{{value}}", 3.0),
        ("{{ value }} of {{group}}", "3.0 of a"),
        ({"a": ["{{rule.name}}", 1, None]}, {"a": ["x", 1, None]}),
        ("{{error}}", None),
        ("<{{error}}>", "<>"),
        ("{{rule.labels.team}} {{rule.labels.none}}", "b "),
        ("{{rule}}", RULE),
        ("{ {value} } {{}} {{1}}", "{ {value} } {{}} {{1}}"),
    ],
)
def test_a_template_is_filled(template: Any, filled: Any) -> None:
    assert template_problem(template) is None
    assert fill(template, VALUES) == filled


@pytest.mark.parametrize(
    "template",
    ["{{secret}}", {"a": ["{{rule.__class__}}"]}, {"a": "x" * 40_000}, json.loads("[" * 20 + "]" * 20)],
)
def test_a_template_can_do_nothing_else(template: Any) -> None:
    assert template_problem(template) is not None


def test_what_is_filled_in_is_not_filled_again() -> None:
    assert fill("{{group}}", {"group": "{{value}}", "value": 1}) == "{{value}}"


def test_masks_come_back_as_what_they_hide_and_only_for_what_looks_the_same() -> None:
    kept = [
        {"type": "pagerduty", "service_key": "one"},
        {"type": "pagerduty", "service_key": "two"},
        {"type": "webhook", "url": "https://u:p@h.example/x?t=1", "headers": {"A": "b"}, "secret": None},
    ]
    sent = [masked(each) for each in kept]
    assert unmasked(sent, kept) == kept
    other = {"type": "webhook", "url": f"https://{MASK}@evil.example/?t={MASK}", "headers": {}}
    assert unmasked([other], kept) == [other]


def test_a_url_is_shown_without_what_opens_doors() -> None:
    assert (
        masked_url("https://u:p@h.example:1/x?t=1&u=#f") == f"https://{MASK}@h.example:1/x?t={MASK}&u={MASK}"
    )


def test_a_signature_is_bound_to_its_time() -> None:
    assert signature("s", 1, b"{}") != signature("s", 2, b"{}")


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "none"), (3.0, "3"), (0.1, "0.1"), (600 / 11, "54.54545455"), (1e15, "1000000000000000")],
)
def test_a_number_is_written_as_people_do(value: float | None, text: str) -> None:
    assert number_text(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(300, "5m"), (5400, "1h30m"), (0.5, "500ms"), (0, "0s"), (90000, "1d1h")]
)
def test_a_duration_is_written_as_people_do(seconds: float, text: str) -> None:
    assert duration_text(int(seconds * 1e9)) == text


def test_the_stores_password_does_not_show() -> None:
    url = StoreUrl("http://u:hidden@h:1/x")
    assert "hidden" not in repr(url) + repr(ClickHouseHttp(url))


def test_a_rules_process_imports_nothing_large() -> None:
    code = (
        "import sys, actors.alert_rule, actors.alert_supervisor\n"
        "large = 'pyarrow numpy pandas pydantic starlette aiohttp pyparsing clickhouse_connect'.split()\n"
        "print([name for name in large if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert found.stdout.strip() == "[]"
