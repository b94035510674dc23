"""The notifier against receivers that fail, hang, throttle and come back: each notice once, or why not."""

import asyncio
import hashlib
import hmac

import pytest
from aiohttp import web

from actors.notifier import Notifier
from alerts.clickhouse_http import ClickHouseHttp
from alerts.journal import Journal
from tests.alerts.outbox import SETTINGS, ended, running, settled, webhook, write
from tests.alerts.receivers import DROP, HANG, HttpReceiver


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


async def test_what_was_tried_often_before_a_crash_and_sent_after_it_is_not_sent_once_more(
    journal: Journal, receiver: HttpReceiver
) -> None:
    receiver.answers.extend([500, 500])
    keys = write(journal, webhook(receiver.url))
    async with running(journal):
        await settled(journal, keys, lambda each: each["attempts"] >= 2)
    async with running(journal):
        [delivery] = await ended(journal, keys)
    assert (delivery["status"], delivery["attempts"]) == ("sent", len(receiver.received))
    later = write(journal, webhook(receiver.url), kind="repeat", number=2)
    async with running(journal):
        await ended(journal, later)
    assert [got.json["event"] for got in receiver.received[2:]] == ["firing", "repeat"]


async def test_a_receiver_that_throttles_is_left_in_peace_over_a_restart(
    journal: Journal, receiver: HttpReceiver
) -> None:
    receiver.answers.append(lambda: web.Response(status=429, headers={"Retry-After": "2"}))
    keys = write(journal, webhook(receiver.url))
    loop = asyncio.get_running_loop()
    async with running(journal):
        await receiver.wait_for(1)
        began = loop.time()
        await settled(journal, keys, lambda each: each["status"] == "retry")
    async with running(journal):
        await receiver.wait_for(2)
        assert loop.time() - began >= 1.8
        assert (await ended(journal, keys))[0]["status"] == "sent"


async def test_a_crash_before_the_answer_is_written_down_sends_again_with_the_same_key(
    journal: Journal, receiver: HttpReceiver
) -> None:
    receiver.answers.append(HANG)
    keys = write(journal, webhook(receiver.url))
    async with running(journal):
        await receiver.wait_for(1)
    async with running(journal):
        await ended(journal, keys)
    first, second = receiver.received
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"] == keys[0]
    assert first.body == second.body


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
