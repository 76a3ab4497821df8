"""aiohttp's request parser, set up for a proxy, with one gap of its Python form closed.

Invariant: a method reaches us as the client wrote it, or the request is refused; it is never guessed at.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp.http import HttpRequestParser
from aiohttp.http_exceptions import BadHttpMethod
from aiohttp.http_parser import HttpRequestParserPy

if TYPE_CHECKING:
    from aiohttp.base_protocol import BaseProtocol
    from aiohttp.http import RawRequestMessage

# Header fields in one request; Apache's LimitRequestFields is 100, Envoy's limit too, aiohttp's default 128.
_MAX_FIELDS = 128


class BodyBroken(Exception):
    """The request's body broke off or its framing is wrong."""


class _StrictPythonParser(HttpRequestParserPy):
    """The fallback where aiohttp's C parser is missing. It would take `get` for GET; the C parser refuses."""

    def parse_message(self, lines: list[bytes]) -> RawRequestMessage:
        method = lines[0].partition(b" ")[0]
        if method != method.upper():
            raise BadHttpMethod("method is not in upper case")
        return super().parse_message(lines)


_Parser = _StrictPythonParser if HttpRequestParser is HttpRequestParserPy else HttpRequestParser


def request_parser(
    protocol: BaseProtocol, loop: asyncio.AbstractEventLoop, *, max_head: int, ahead: int, read_ahead: int
) -> HttpRequestParser:
    """A parser feeding `protocol`. Sizes in bytes; `ahead`: requests parsed before the first is consumed."""
    return _Parser(
        protocol,
        loop,
        read_ahead,
        max_line_size=max_head,
        max_field_size=max_head,
        max_headers=_MAX_FIELDS,
        payload_exception=BodyBroken,
        auto_decompress=False,
        max_msg_queue_size=ahead,
    )
