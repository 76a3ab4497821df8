"""aiohttp's C request parser through its public exports, configured for a proxy.

Invariant: a method arrives exactly as the client wrote it, or the request is refused.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol, cast

from aiohttp.http import HttpParser, HttpRequestParser

# Header fields in one request; Apache's LimitRequestFields and Envoy's limit are 100, aiohttp's default is
# 128.
_MAX_FIELDS = 128

# The pure Python parser takes a bare CR in a chunk extension for a line end, and is four times as slow.
C_PARSER_MISSING = (
    "aiohttp's parser in C is missing: install a wheel of aiohttp for this platform, or build it with a C "
    "compiler, and unset AIOHTTP_NO_EXTENSIONS"
)


class BodyBroken(Exception):
    """The request's body broke off or its framing is wrong."""


class BodyFlow(Protocol):
    """Receives the parser's signals that a body has buffered enough, or has room again.

    One implementation, because aiohttp asks for its own base protocol, of which the parser and its bodies use
    these three members: RequestReader, above this room, has them.
    """

    @property
    def connected(self) -> bool: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self, resume_parser: bool = True) -> None: ...


def has_c_parser() -> bool:
    """Return whether aiohttp's C extension is loaded; its Python parsers derive from `HttpParser`."""
    return not issubclass(HttpRequestParser, HttpParser)


def request_parser(
    flow: BodyFlow, loop: asyncio.AbstractEventLoop, *, max_head: int, read_ahead: int
) -> HttpRequestParser:
    """Return a parser whose bodies pause `flow` beyond 2 × `read_ahead` bytes.

    Lines have at most `max_head` bytes.
    """
    return HttpRequestParser(
        cast(Any, flow),
        loop,
        read_ahead,
        max_line_size=max_head,
        max_field_size=max_head,
        max_headers=_MAX_FIELDS,
        payload_exception=BodyBroken,
        auto_decompress=False,
    )
