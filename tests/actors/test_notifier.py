"""The notifier against real receivers that fail, hang, throttle and come back: each notice once, or why
not.
"""

import asyncio
import hashlib
import hmac
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from actors.notifier import Notifier
from alerts.clickhouse_http import ClickHouseHttp
from alerts.journal import Journal
from alerts.machine import Notice
from alerts.rule import Target
from alerts.runner import notice_rows
from alerts.schedule import Window
from core.clock import SystemClock
from core.metrics import Metrics
from core.settings import AlertSettings
from tests.alerts.making import BEGIN_NS, MINUTE_NS, make_order, make_rule
from tests.alerts.receivers import DROP, HANG, HttpReceiver, SmtpReceiver
from tests.listeners.authority import Authority

SETTINGS = AlertSettings(allow_private_webhooks=True, attempt_timeout_s=0.5)
WINDOW = Window(BEGIN_NS - MINUTE_NS, BEGIN_NS)


@pytest.fixture
async def receiver() -> AsyncIterator[HttpReceiver]:
    server = await HttpReceiver().start()
    yield server
    await server.stop()


@pytest.fixture
def journal(alert_store: ClickHouseHttp) -> Journal:
    return Journal(alert_store)


@asynccontextmanager
async def running(journal: Journal, settings: AlertSettings = SETTINGS) -> AsyncIterator[Notifier]:
    notifier = Notifier(journal, settings, Metrics(SystemClock()), SystemClock(), lambda low, _: low)
    try:
        yield notifier
    finally:
        await notifier.close()


def webhook(url: str, id_: str = "webhook-1", **config: Any) -> Target:
    return Target(id_, "webhook", {"url": url, **config})


def write(
    journal: Journal, *targets: Target, kind: Any = "firing", number: int = 1, group: str = ""
) -> list[str]:
    """Write a notice to these targets into the journal, as a rule does; returns their keys."""
    rule = make_rule(targets=targets, group_by="host" if group else None)
    notice = Notice(kind, group, BEGIN_NS, number, "critical", 12.0, BEGIN_NS, targets)
    samples = [
        {"timestamp": "2024-01-15T10:00:00Z", "level": "error", "service": "api", "message": "<b>down</b>"}
    ]
    now_ns = SystemClock().now_ns()
    rows = notice_rows(journal, make_order(rule), notice, WINDOW, now_ns, samples, [])
    journal.write(rows)
    return [row["key"] for row in rows]


async def ended(journal: Journal, keys: list[str], within_s: float = 20) -> list[dict[str, Any]]:
    """What became of these notices, as soon as all are done with."""
    return await settled(journal, keys, lambda each: each["status"] != "retry", within_s)


async def settled(
    journal: Journal, keys: list[str], holds: Callable[[dict[str, Any]], bool], within_s: float = 20
) -> list[dict[str, Any]]:
    async with asyncio.timeout(within_s):
        while True:
            found = await asyncio.to_thread(journal.deliveries, "alert-1", keys)
            if len(found) == len(keys) and all(map(holds, found.values())):
                return [found[key] for key in keys]
            await asyncio.sleep(0.05)


async def in_trouble(notifier: Notifier) -> None:
    async with asyncio.timeout(10):
        for _ in range(1000):
            if (await notifier.observe())["last_error"]:
                return
            await asyncio.sleep(0.02)
    raise AssertionError("it has no trouble")


async def test_a_webhook_gets_everything_once_and_signed(journal: Journal, receiver: HttpReceiver) -> None:
    keys = write(journal, webhook(receiver.url + "/hook?a=1", secret="s3cret", headers={"X-Team": "blue"}))
    async with running(journal) as notifier:
        assert (await ended(journal, keys))[0]["status"] == "sent"
        await notifier.wake()
    [got] = receiver.received
    assert (got.method, got.path, got.headers["X-Team"]) == ("POST", "/hook?a=1", "blue")
    assert got.headers["Idempotency-Key"] == got.json["id"] == keys[0]
    signed = got.headers["X-Logray-Timestamp"].encode() + b"." + got.body
    signature = hmac.new(b"s3cret", signed, hashlib.sha256).hexdigest()
    assert got.headers["X-Logray-Signature"] == f"sha256={signature}"
    shown = {name: got.json[name] for name in ("state", "severity", "value", "threshold", "window", "event")}
    assert shown == {
        "state": "alerting", "severity": "critical", "value": 12, "threshold": 10, "window": "1m",
        "event": "firing",
    }  # fmt: skip
    assert got.json["sample_logs"][0]["message"] == "<b>down</b>"
    assert got.json["links"]["search"].startswith("http://logray.example/api/v1/alerts/alert-1/logs?")


async def test_a_template_is_the_whole_body(journal: Journal, receiver: HttpReceiver) -> None:
    template = {
        "text": "{{rule.name}}: {{value}}",
        "n": "{{value}}",
        "logs": "{{sample_logs}}",
        "none": "{{error}}",
    }
    keys = write(journal, webhook(receiver.url, template=template, method="PUT"))
    async with running(journal):
        await ended(journal, keys)
    [got] = receiver.received
    assert got.method == "PUT"
    assert {**got.json, "logs": len(got.json["logs"])} == {
        "text": "Errors: 12.0",
        "n": 12,
        "logs": 1,
        "none": None,
    }


async def test_what_passes_is_tried_again_with_the_same_key(journal: Journal, receiver: HttpReceiver) -> None:
    receiver.answers.extend([500, HANG, DROP])
    keys = write(journal, webhook(receiver.url))
    async with running(journal):
        [delivery] = await ended(journal, keys)
    assert (delivery["status"], delivery["attempts"]) == ("sent", 4)
    assert {got.headers["Idempotency-Key"] for got in receiver.received} == {keys[0]}


async def test_a_receiver_that_throttles_is_left_in_peace_as_long_as_it_asks(
    journal: Journal, receiver: HttpReceiver
) -> None:
    receiver.answers.append(lambda: web.Response(status=429, headers={"Retry-After": "2"}))
    keys = write(journal, webhook(receiver.url))
    loop = asyncio.get_running_loop()
    async with running(journal):
        await receiver.wait_for(1)
        began = loop.time()
        await receiver.wait_for(2)
        assert loop.time() - began >= 1.9
        assert (await ended(journal, keys))[0]["status"] == "sent"


@pytest.mark.parametrize("status", [404, 302])
async def test_a_refusal_is_final_and_says_why(journal: Journal, receiver: HttpReceiver, status: int) -> None:
    receiver.always = status
    keys = write(journal, webhook(receiver.url))
    async with running(journal):
        [delivery] = await ended(journal, keys)
    assert (delivery["status"], len(receiver.received)) == ("failed", 1)
    assert delivery["reason"] == f"the receiver answered {status}: said the receiver"


async def test_after_its_time_a_notice_is_given_up(journal: Journal, receiver: HttpReceiver) -> None:
    receiver.always = 503
    keys = write(journal, webhook(receiver.url))
    async with running(journal, SETTINGS.model_copy(update={"give_up_after_s": 1.2})):
        [delivery] = await ended(journal, keys)
    assert delivery["status"] == "failed"
    assert delivery["reason"].startswith("given up after 2 attempts: the receiver answered 503")


async def test_a_receiver_that_hangs_delays_nobody_else(journal: Journal, receiver: HttpReceiver) -> None:
    slow = await HttpReceiver().start()
    slow.always = HANG
    settings = SETTINGS.model_copy(update={"attempt_timeout_s": 60})
    hanging = [webhook(slow.url, f"webhook-slow-{number}") for number in range(20)]
    write(journal, *hanging)
    keys = write(journal, *(webhook(receiver.url, f"webhook-{number}") for number in range(20)), number=2)
    async with running(journal, settings):
        await receiver.wait_for(20, within_s=10)
        await ended(journal, keys, within_s=10)
    await slow.stop()


async def test_the_end_does_not_overtake_the_beginning(journal: Journal, receiver: HttpReceiver) -> None:
    receiver.answers.extend([500, 500])
    target = webhook(receiver.url)
    keys = write(journal, target) + write(journal, target, kind="resolved", number=2)
    async with running(journal):
        await ended(journal, keys)
    assert [got.json["event"] for got in receiver.received] == ["firing"] * 3 + ["resolved"]


async def test_a_notifier_that_comes_back_sends_what_was_not_sent_and_nothing_twice(
    journal: Journal, receiver: HttpReceiver
) -> None:
    target = webhook(receiver.url)
    sent = write(journal, target)
    async with running(journal):
        await ended(journal, sent)
    receiver.always = 500
    waiting = write(journal, target, kind="repeat", number=2)
    async with running(journal):
        await settled(journal, waiting, lambda each: each["attempts"] >= 1)
    receiver.always = 200
    async with running(journal):
        await ended(journal, waiting)
    events = [got.json["event"] for got in receiver.received]
    assert (events.count("firing"), events[-1]) == (1, "repeat")


async def test_the_private_network_is_refused_unless_it_is_allowed(
    journal: Journal, receiver: HttpReceiver
) -> None:
    port = receiver.url.rpartition(":")[2]
    hosts = [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "0x7f000001",
        "169.254.169.254",
        "10.0.0.1",
        "[::ffff:7f00:1]",
    ]
    hosts.append("\uff11\uff12\uff17.0.0.1")  # wide digits: they are 127 once the name is normalised
    keys = write(journal, *(webhook(f"http://{host}:{port}/", f"webhook-{host}") for host in hosts))
    async with running(journal, SETTINGS.model_copy(update={"allow_private_webhooks": False})):
        deliveries = await ended(journal, keys)
    assert {each["status"] for each in deliveries} == {"failed"}
    assert all(each["reason"].startswith("refused: ") for each in deliveries)
    assert receiver.received == []


async def test_a_redirect_keeps_the_request_and_leaves_the_credentials_behind(
    journal: Journal, receiver: HttpReceiver
) -> None:
    port = receiver.url.rpartition(":")[2]
    elsewhere = f"http://localhost:{port}/new"
    receiver.answers.append(lambda: web.Response(status=307, headers={"Location": elsewhere}))
    keys = write(journal, webhook(receiver.url + "/old", headers={"Authorization": "Bearer x"}))
    async with running(journal):
        assert (await ended(journal, keys))[0]["status"] == "sent"
    old, new = receiver.received
    assert (old.headers.get("Authorization"), new.headers.get("Authorization")) == ("Bearer x", None)
    assert (new.method, new.path, new.body) == ("POST", "/new", old.body)


async def test_redirects_come_to_an_end(journal: Journal, receiver: HttpReceiver) -> None:
    receiver.always = lambda: web.Response(status=308, headers={"Location": "/again"})
    keys = write(journal, webhook(receiver.url))
    async with running(journal):
        assert (await ended(journal, keys))[0]["reason"] == "more than 3 redirects"


async def test_slack_by_token_gets_blocks_with_everything_in_them(
    journal: Journal, receiver: HttpReceiver
) -> None:
    settings = SETTINGS.model_copy(
        update={"slack_token": SecretStr("xoxb-1"), "slack_base_url": receiver.url + "/api"}
    )
    keys = write(journal, Target("slack-1", "slack", {"channel": "#alerts"}))
    async with running(journal, settings):
        assert (await ended(journal, keys))[0]["status"] == "sent"
    [got] = receiver.received
    assert (got.path, got.headers["Authorization"]) == ("/api/chat.postMessage", "Bearer xoxb-1")
    assert got.json["channel"] == "#alerts"
    text = json.dumps(got.json["blocks"])
    for part in (
        "count &gt; 10 in 1m",
        "12",
        "&lt;b&gt;down&lt;/b&gt;",
        "http://logray.example/api/v1/alerts/alert-1/logs?",
    ):
        assert part in text


async def test_slack_says_ok_false_with_status_200(journal: Journal, receiver: HttpReceiver) -> None:
    settings = SETTINGS.model_copy(update={"slack_token": SecretStr("x"), "slack_base_url": receiver.url})
    receiver.answers.append(lambda: web.json_response({"ok": False, "error": "ratelimited"}, dumps=_compact))
    receiver.answers.append(
        lambda: web.json_response({"ok": False, "error": "channel_not_found"}, dumps=_compact)
    )
    keys = write(journal, Target("slack-1", "slack", {"channel": "#alerts"}))
    async with running(journal, settings):
        [delivery] = await ended(journal, keys)
    assert (delivery["status"], delivery["reason"], delivery["attempts"]) == (
        "failed", "Slack answered channel_not_found", 2,
    )  # fmt: skip


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


async def test_slack_by_the_services_webhook(journal: Journal, receiver: HttpReceiver) -> None:
    settings = SETTINGS.model_copy(update={"slack_webhook_url": SecretStr(receiver.url + "/services/T/B/x")})
    keys = write(journal, Target("slack-1", "slack", {"channel": "#alerts"}))
    async with running(journal, settings):
        await ended(journal, keys)
    assert receiver.received[0].path == "/services/T/B/x"


@pytest.mark.parametrize(
    ("target", "setting"),
    [
        (Target("slack-1", "slack", {"channel": "#alerts"}), "LOGRAY_ALERTS_SLACK_TOKEN"),
        (Target("email-1", "email", {"to": ["a@b.example"]}), "LOGRAY_ALERTS_SMTP_HOST"),
    ],
)
async def test_what_is_not_configured_is_not_sent_and_says_so(
    journal: Journal, target: Target, setting: str
) -> None:
    keys = write(journal, target)
    async with running(journal):
        [delivery] = await ended(journal, keys)
    assert delivery["status"] == "failed"
    assert setting in delivery["reason"]


async def test_pagerduty_has_one_incident_an_episode(journal: Journal, receiver: HttpReceiver) -> None:
    settings = SETTINGS.model_copy(update={"pagerduty_base_url": receiver.url})
    receiver.always = 202
    target = Target("pagerduty-1", "pagerduty", {"service_key": "xxx"})
    keys: list[str] = []
    for number, kind in enumerate(("firing", "repeat", "acknowledged", "resolved"), 1):
        keys += write(journal, target, kind=kind, number=number)
    keys += write(journal, target, number=1, group="web-1")
    async with running(journal, settings):
        await ended(journal, keys)
    events = [got.json for got in receiver.received if got.path == "/v2/enqueue"]
    of_group = [event for event in events if event["dedup_key"].endswith("web-1")]
    others = [event for event in events if event not in of_group]
    assert [event["event_action"] for event in others] == ["trigger", "trigger", "acknowledge", "resolve"]
    assert len({event["dedup_key"] for event in others}) == 1
    assert len(of_group) == 1
    payload = others[0]["payload"]
    assert (payload["severity"], payload["custom_details"]["value"], others[0]["routing_key"]) == (
        "critical",
        12,
        "xxx",
    )
    assert payload["summary"] == "Errors is alerting: count > 10 in 1m, now 12"


async def test_a_mail_has_text_and_html_and_is_tried_again_on_a_passing_refusal(journal: Journal) -> None:
    server = SmtpReceiver().start()
    server.answers.append("451 try later")
    settings = SETTINGS.model_copy(
        update={
            "smtp_host": "127.0.0.1",
            "smtp_port": server.port,
            "smtp_security": "none",
            "attempt_timeout_s": 5,
        }
    )
    keys = write(journal, Target("email-1", "email", {"to": ["ann@x.example", "bob@x.example"]}))
    async with running(journal, settings):
        [delivery] = await ended(journal, keys)
    server.stop()
    assert (delivery["status"], delivery["attempts"]) == ("sent", 2)
    assert server.recipients == [["ann@x.example", "bob@x.example"]]
    mail = message_from_bytes(server.mails[0], policy=policy.default)
    assert mail["Subject"] == "[ALERTING] Errors is alerting: count > 10 in 1m, now 12"
    assert keys[0] in mail["Message-ID"]
    text, page = (mail.get_body((kind,)).get_content() for kind in ("plain", "html"))  # type: ignore[union-attr]
    assert "<b>down</b>" in text
    assert "&lt;b&gt;down&lt;/b&gt;" in page


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("trusted", [True, False], ids=["trusted", "unknown"])
async def test_mails_go_encrypted_and_only_to_a_server_whose_certificate_is_trusted(
    journal: Journal, tmp_path: Path, security: str, trusted: bool
) -> None:
    authority = Authority(tmp_path, "authority")
    identity = authority.issue("localhost")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(identity.certificate, identity.key)
    server = SmtpReceiver(tls, starttls=security == "starttls").start()
    settings = SETTINGS.model_copy(
        update={
            "smtp_host": "localhost",
            "smtp_port": server.port,
            "smtp_security": security,
            "smtp_ca_file": authority.certificate if trusted else None,
            "attempt_timeout_s": 5,
            "give_up_after_s": 0.5,
        }
    )
    keys = write(journal, Target("email-1", "email", {"to": ["ann@x.example"]}))
    async with running(journal, settings):
        [delivery] = await ended(journal, keys)
    server.stop()
    assert (delivery["status"], len(server.mails)) == (("sent", 1) if trusted else ("failed", 0))
    if not trusted:
        assert "certificate verify failed" in delivery["reason"]


async def test_a_mail_that_is_refused_for_good_is_not_tried_again(journal: Journal) -> None:
    server = SmtpReceiver().start()
    server.answers.append("550 no such user")
    settings = SETTINGS.model_copy(
        update={
            "smtp_host": "127.0.0.1",
            "smtp_port": server.port,
            "smtp_security": "none",
            "attempt_timeout_s": 5,
        }
    )
    keys = write(journal, Target("email-1", "email", {"to": ["ann@x.example"]}))
    async with running(journal, settings):
        [delivery] = await ended(journal, keys)
    server.stop()
    assert delivery == {
        "status": "failed",
        "reason": "the SMTP server answered 550: no such user",
        "attempts": 1,
    }


async def test_an_smtp_server_that_hangs_delays_no_webhook(journal: Journal, receiver: HttpReceiver) -> None:
    silent = socket.create_server(("127.0.0.1", 0), backlog=64)  # connections are made and never taken up
    port = silent.getsockname()[1]
    settings = SETTINGS.model_copy(
        update={"smtp_host": "127.0.0.1", "smtp_port": port, "attempt_timeout_s": 1}
    )
    mails = [Target(f"email-{number}", "email", {"to": ["a@b.example"]}) for number in range(12)]
    write(journal, *mails)
    keys = write(journal, webhook(receiver.url), number=2)
    async with running(journal, settings):
        await ended(journal, keys, within_s=5)
    silent.close()


async def test_the_store_may_be_away_meanwhile(alert_store: ClickHouseHttp, receiver: HttpReceiver) -> None:
    journal = Journal(alert_store)
    keys = write(journal, webhook(receiver.url))
    receiver.answers.append(lambda: web.Response(status=500))
    async with running(journal) as notifier:
        await receiver.wait_for(1)
        alert_store._port, port = 9, alert_store._port
        alert_store.close()
        await receiver.wait_for(2)
        await in_trouble(notifier)
        alert_store._port = port
        assert (await ended(journal, keys))[0]["status"] == "sent"
    assert len(receiver.received) == 2
