"""A request, received: its statement, and an insert's rows in a file in memory."""

import asyncio
from typing import Final

from aiohttp import web

from storage.embedded.encoding import BodyTooLarge, UnknownEncoding, unpack
from storage.embedded.file_in_memory import FileInMemory
from storage.embedded.refusal import Refused
from storage.embedded.request import Question, read_question
from storage.embedded.statement import Kind, SeveralStatements, Statement, read_statement

BODY_BYTES_MAX: Final = 512 << 20  # an insert, packed or unpacked: 413


async def read_request(
    request: web.Request, url: dict[str, str]
) -> tuple[Question, Statement, FileInMemory | None]:
    """What is asked, the statement, an insert's rows; fields of a form join `url`. Raises Refused."""
    if url.get("decompress") == "1" or url.get("compress") == "1":
        raise Refused(48, "NOT_IMPLEMENTED", "compressed blocks are not supported, use Content-Encoding")
    try:
        form = request.content_type == "multipart/form-data"
        if form:
            url |= await _form(request)
        question = read_question(request.method, url, request.headers)
        if question.query and not question.encoding and not form:
            statement = read_statement(question.query, b"")
            if statement.kind is Kind.INSERT and not statement.data:
                return question, statement, await _receive(request)
        body = b"" if form else await request.read()
        if question.encoding:
            body = await asyncio.to_thread(unpack, body, question.encoding, BODY_BYTES_MAX)
        statement = read_statement(question.query, body)
        data = FileInMemory(statement.data) if statement.kind is Kind.INSERT else None
        return question, statement, data
    except (web.HTTPRequestEntityTooLarge, BodyTooLarge) as error:
        raise Refused(223, "QUERY_IS_TOO_LARGE", f"the body is over {BODY_BYTES_MAX} bytes", 413) from error
    except UnknownEncoding as error:
        raise Refused(89, "UNKNOWN_COMPRESSION_METHOD", str(error), 400) from error
    except SeveralStatements as error:
        raise Refused(62, "SYNTAX_ERROR", str(error)) from error
    except ValueError as error:
        raise Refused(354, "ZLIB_INFLATE_FAILED", str(error), 400) from error


async def _receive(request: web.Request) -> FileInMemory:
    """An insert's body, without a stay in Python's memory: half the CPU."""
    data = FileInMemory()
    async for chunk in request.content.iter_any():
        data.write(chunk)
        if data.size > BODY_BYTES_MAX:
            raise BodyTooLarge
    return data


async def _form(request: web.Request) -> dict[str, str]:
    """The text fields of a multipart form: `query` and `param_…`, for what is too long for a URL."""
    fields = {}
    for name, value in (await request.post()).items():
        if not isinstance(value, str):
            raise Refused(48, "NOT_IMPLEMENTED", "external tables are not supported")
        fields[name] = value
    return fields
