"""What Slack, PagerDuty and mail servers are sent, and what their answers mean."""

import json
import socket
import ssl
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from alerts.journal import Journal
from alerts.render_slack import REPEATED
from alerts.rule import Target
from tests.alerts.outbox import SETTINGS, ended, running, webhook, write
from tests.alerts.receivers import HANG, HttpReceiver, SmtpReceiver
from tests.listeners.authority import Authority


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


async def test_slack_that_may_have_taken_a_message_is_told_that_the_next_may_be_a_repetition(
    journal: Journal, receiver: HttpReceiver
) -> None:
    settings = SETTINGS.model_copy(update={"slack_token": SecretStr("x"), "slack_base_url": receiver.url})
    # Throttled: it was not taken. No answer in time: nobody knows.
    receiver.answers.extend([lambda: web.Response(status=429, headers={"Retry-After": "0"}), HANG])
    keys = write(journal, Target("slack-1", "slack", {"channel": "#alerts"}))
    async with running(journal, settings):
        await ended(journal, keys)
    marked = [REPEATED in json.dumps(got.json["blocks"]) for got in receiver.received]
    assert marked == [False, False, True]


async def test_a_crash_while_slack_is_told_marks_the_message_that_is_sent_again(
    journal: Journal, receiver: HttpReceiver
) -> None:
    settings = SETTINGS.model_copy(update={"slack_webhook_url": SecretStr(receiver.url)})
    receiver.answers.append(HANG)
    keys = write(journal, Target("slack-1", "slack", {"channel": "#alerts"}))
    async with running(journal, settings):
        await receiver.wait_for(1)
    async with running(journal, settings):
        [delivery] = await ended(journal, keys)
    assert delivery["attempts"] == 2
    assert [REPEATED in got.body.decode() for got in receiver.received] == [False, True]


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
