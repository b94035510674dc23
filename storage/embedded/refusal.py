"""How a request that fails is answered: with ClickHouse's codes, before its answer or in the middle of it."""

from contextlib import suppress

from aiohttp import web

from storage.embedded import answer


class Refused(Exception):
    """A request that ends with an exception code and its text."""

    def __init__(self, code: int, name: str, reason: str, status: int | None = None) -> None:
        super().__init__(code, name, reason, status)
        self.code, self.status = code, status or answer.http_status(code)
        self.text = f"Code: {code}. DB::Exception: {reason}. ({name})"


def failed(error: Exception) -> Refused:
    """What chDB says of a statement."""
    text = answer.exception_text(str(error)).strip()
    refused = Refused(answer.exception_code(text), "", "")
    refused.text = text
    return refused


def refusal(refused: Refused, query_id: str) -> web.Response:
    """The answer to a request whose own answer has not begun."""
    headers = {
        "X-ClickHouse-Exception-Code": str(refused.code),
        "X-ClickHouse-Query-Id": query_id,
        "X-ClickHouse-Timezone": "UTC",
        "Content-Type": "text/plain; charset=UTF-8",
    }
    if refused.status == 503:
        headers["Retry-After"] = "1"
    return web.Response(status=refused.status, text=f"{refused.text}\n", headers=headers)


async def break_off(request: web.Request, response: web.StreamResponse, text: str, tag: str) -> None:
    """Tell a client in the middle of its answer that the query failed: ClickHouse's marks, then the end."""
    message = f"{text}\n"
    with suppress(OSError):
        await response.write(
            f"__exception__\r\n{tag}\r\n{message}{len(message.encode())} {tag}\r\n__exception__\r\n".encode()
        )
    if request.transport is not None:
        request.transport.close()
