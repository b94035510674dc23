"""One attempt to send a message, over HTTP or SMTP, and what came of it."""

import asyncio
import json
import smtplib
import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp.resolver import ThreadedResolver

from alerts.addresses import guarded_socket, was_refused
from alerts.outgoing import HttpMessage, Mail
from alerts.retry import Outcome, outcome_of_status
from core.clock import Clock
from core.settings import AlertSettings

REDIRECTS_MAX: Final = 3
KEPT_METHOD: Final = frozenset({307, 308})  # other redirects would turn the notice into a GET without a body
ANSWER_BYTES_MAX: Final = 4096
ANSWER_SHOWN: Final = 300
SMTP_THREADS: Final = 8  # of their own: servers that hang must not keep other work waiting
SLACK_THROTTLES: Final = frozenset({"ratelimited", "rate_limited"})
# "It's possible some aspect of the operation succeeded before the error was raised", says Slack of these.
SLACK_FAILURES: Final = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout"})


class Sender:
    """Sends; never raises for what the receiver does. Used from one event loop, to be closed."""

    def __init__(self, settings: AlertSettings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._timeout = aiohttp.ClientTimeout(total=settings.attempt_timeout_s)
        self._smtp = ThreadPoolExecutor(SMTP_THREADS, "smtp")
        self._guarded: aiohttp.ClientSession | None = None
        self._open: aiohttp.ClientSession | None = None

    async def send(self, message: HttpMessage | Mail) -> Outcome:
        """One attempt."""
        if isinstance(message, Mail):
            return await asyncio.get_running_loop().run_in_executor(self._smtp, self._send_mail, message)
        try:
            return await self._send_http(message)
        except (aiohttp.InvalidURL, ValueError):
            return Outcome("failed", "the URL cannot be used")
        except aiohttp.ClientConnectorError as error:
            if was_refused(error.os_error):
                return Outcome("failed", f"refused: {error.host} leads to an address that is not public")
            return Outcome("retry", f"cannot connect to {error.host}: {error.os_error.strerror or 'failed'}")
        except TimeoutError:
            reason = f"no answer within {self._settings.attempt_timeout_s:g} s"
            return Outcome("retry", reason, in_doubt=True)
        except (aiohttp.ClientError, OSError) as error:
            return Outcome("retry", f"the connection failed: {type(error).__name__}", in_doubt=True)

    async def close(self) -> None:
        """Close all connections."""
        for session in (self._guarded, self._open):
            if session is not None:
                await session.close()
        self._smtp.shutdown(wait=False, cancel_futures=True)

    async def _send_http(self, message: HttpMessage) -> Outcome:
        guarded = message.guarded and not self._settings.allow_private_webhooks
        url, headers = message.url, dict(message.headers)
        async with asyncio.timeout(self._settings.attempt_timeout_s):
            for _ in range(REDIRECTS_MAX + 1):
                host = urlsplit(url).hostname or ""
                async with self._session(guarded).request(
                    message.method, url, data=message.body, headers=headers, allow_redirects=False
                ) as response:
                    location = response.headers.get("Location")
                    if response.status in KEPT_METHOD and location:
                        url = urljoin(url, location)
                        if urlsplit(url).scheme not in ("http", "https"):
                            return Outcome("failed", "the receiver redirects to something else than HTTP")
                        if urlsplit(url).hostname != host:
                            headers = _without_credentials(headers)
                        continue
                    body = await response.content.read(ANSWER_BYTES_MAX)
                    return self._outcome(response.status, response.headers, body)
        return Outcome("failed", f"more than {REDIRECTS_MAX} redirects")

    def _outcome(self, status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
        text = " ".join(body.decode(errors="replace").split())[:ANSWER_SHOWN]
        slack_error = _slack_error(body) if status == 200 else None
        if slack_error is not None:
            kind: Any = "retry" if slack_error in SLACK_FAILURES | SLACK_THROTTLES else "failed"
            return Outcome(kind, f"Slack answered {slack_error}", in_doubt=slack_error in SLACK_FAILURES)
        now_s = self._clock.now_ns() / 1e9
        return outcome_of_status(status, headers.get("Retry-After"), text, now_s)

    def _session(self, guarded: bool) -> aiohttp.ClientSession:
        session = self._guarded if guarded else self._open
        if session is None:
            connector = aiohttp.TCPConnector(
                resolver=ThreadedResolver(),
                use_dns_cache=False,
                limit=0,  # the notifier bounds what is under way
                socket_factory=guarded_socket if guarded else None,
            )
            session = aiohttp.ClientSession(
                connector=connector,
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
            if guarded:
                self._guarded = session
            else:
                self._open = session
        return session

    def _send_mail(self, mail: Mail) -> Outcome:
        try:
            with self._smtp_server() as server:
                refused = server.send_message(mail.message, to_addrs=list(mail.recipients))
        except smtplib.SMTPRecipientsRefused as error:
            code, text = next(iter(error.recipients.values()))
            return _smtp_outcome(code, text)
        except smtplib.SMTPResponseException as error:
            return _smtp_outcome(error.smtp_code, error.smtp_error)
        except (smtplib.SMTPException, OSError) as error:
            reason = " ".join(str(error).split())[:ANSWER_SHOWN] or type(error).__name__
            return Outcome("retry", f"the SMTP server failed: {reason}")
        if refused:
            return Outcome("sent", f"sent, but refused for {', '.join(refused)}")
        return Outcome("sent")

    def _smtp_server(self) -> smtplib.SMTP:
        settings = self._settings
        assert settings.smtp_host is not None
        host, port, timeout_s = settings.smtp_host, settings.smtp_port, settings.attempt_timeout_s
        server: smtplib.SMTP
        if settings.smtp_security == "tls":
            server = smtplib.SMTP_SSL(host, port, timeout=timeout_s, context=self._tls())
        else:
            server = smtplib.SMTP(host, port, timeout=timeout_s)
        try:
            if settings.smtp_security == "starttls":
                server.starttls(context=self._tls())
            if settings.smtp_user is not None and settings.smtp_password is not None:
                server.login(settings.smtp_user, settings.smtp_password.get_secret_value())
        except BaseException:
            server.close()
            raise
        return server

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self._settings.smtp_ca_file is not None:
            context.load_verify_locations(self._settings.smtp_ca_file)
        return context


def _without_credentials(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers for another host than the one they were meant for: none of the target's own."""
    kept = ("content-type", "user-agent", "idempotency-key", "x-logray-timestamp", "x-logray-signature")
    return {name: value for name, value in headers.items() if name.lower() in kept}


def _slack_error(body: bytes) -> str | None:
    """What chat.postMessage says went wrong: its status is 200 all the same."""
    if not body.startswith(b'{"ok":false'):
        return None
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError):
        return "an error that cannot be read"


def _smtp_outcome(code: int, text: Any) -> Outcome:
    shown = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
    reason = f"the SMTP server answered {code}: {' '.join(shown.split())[:ANSWER_SHOWN]}"
    return Outcome("failed" if 500 <= code < 600 else "retry", reason)
