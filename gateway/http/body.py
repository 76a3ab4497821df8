"""Request bodies read whole from the client's connection, bounded in size and time.

Invariant: a body that is too long, too slow or malformed is refused before any field is parsed.
"""

from __future__ import annotations

import asyncio

from aiohttp.streams import StreamReader

from gateway.errors import BadRequest, BodyTooLarge, MalformedForm, SlowClient
from gateway.http.forms import Fields, parse_fields
from gateway.http.request_parser import BodyBroken

# Our forms are a few hundred bytes; a password has at most 256 characters, an attribute 2,048.
MAX_FORM = 64 * 1024


async def read_body(body: StreamReader, *, most: int, within: float) -> bytes:
    """Read the whole body. `most`: bytes, `within`: seconds for the whole body. Raises Refusal."""
    data = bytearray()
    try:
        async with asyncio.timeout(within):
            while not body.at_eof():
                data += await body.readany()
                if len(data) > most:
                    raise BodyTooLarge(f"a body over {most} bytes")
    except TimeoutError:
        raise SlowClient("the body did not arrive in time") from None
    except BodyBroken:
        raise BadRequest("the body is broken") from None
    return bytes(data)


async def read_form(body: StreamReader, content_type: str | None, *, within: float) -> Fields:
    """Read and parse a form. `within`: seconds for the whole body. Raises Refusal."""
    kind = (content_type or "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        # Also a defence: text/plain and multipart forms of other sites need no preflight (Fetch standard).
        raise MalformedForm("the body is not application/x-www-form-urlencoded")
    data = await read_body(body, most=MAX_FORM, within=within)
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        raise MalformedForm("the form is not percent-encoded") from None
    return parse_fields(text)
