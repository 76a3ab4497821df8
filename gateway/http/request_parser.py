"""aiohttp's request parser, set up for a proxy; only its public exports, and only its C form.

Invariant: a method reaches us as the client wrote it, or the request is refused; it is never guessed at.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol, cast

from aiohttp.http import HttpParser, HttpRequestParser

# Header fields in one request; Apache's LimitRequestFields is 100, Envoy's limit too, aiohttp's default 128.
_MAX_FIELDS = 128

# The parser in pure Python takes a bare CR in a chunk extension for the end of its line, and costs four times
# as much.
C_PARSER_MISSING = (
    "aiohttp's parser in C is missing: install a wheel of aiohttp for this platform, or build it with a C "
    "compiler, and unset AIOHTTP_NO_EXTENSIONS"
)


class BodyBroken(Exception):
    """The request's body broke off or its framing is wrong."""


class BodyFlow(Protocol):
    """Whom the parser tells that a body holds enough for now, or has room again.

    One implementation, because aiohttp asks for its own base protocol, of which the parser and its
    bodies use these three: RequestReader has them, above this.
    """

    @property
    def connected(self) -> bool: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self, resume_parser: bool = True) -> None: ...


def has_c_parser() -> bool:
    """Whether aiohttp's C extension is there; `HttpParser` is what its parsers in Python are derived from."""
    return not issubclass(HttpRequestParser, HttpParser)


def request_parser(
    flow: BodyFlow, loop: asyncio.AbstractEventLoop, *, max_head: int, read_ahead: int
) -> HttpRequestParser:
    """A parser whose bodies pause `flow` beyond twice `read_ahead` bytes; `max_head`: bytes of one line."""
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
