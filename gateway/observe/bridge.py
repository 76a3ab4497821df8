"""Python's own `logging` (aiohttp, asyncio) led into the gateway's log, from WARNING up, as event "log".

Invariant: these texts are not ours, so they pass through `redact`, and the messages of aiohttp's HTTP errors,
which quote what a client sent, are left out.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from traceback import format_tb

# A scheme and its credentials (RFC 9110 section 11.4), and anything shaped like a compact JWS or JWE.
_CREDENTIALS = re.compile(r"(?i)\b(bearer|basic|digest)\s+[^\s'\",]+")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]*){2,4}")
# Cookies: the header's rest of line.
_COOKIE = re.compile(r"(?i)\b((?:set-)?cookie\b\W{1,5})[^\r\n]+")

# An exception chain may be a circle in theory; more than this many links say nothing new.
_MAX_CHAIN = 5


class Bridge(logging.Handler):
    """Hands every record to `event`, which has the signature of `Logger.event`."""

    def __init__(self, event: Callable[..., None]) -> None:
        super().__init__(logging.WARNING)
        self._event = event

    def emit(self, record: logging.LogRecord) -> None:
        level = "error" if record.levelno >= logging.ERROR else "warning"
        error = record.exc_info[1] if record.exc_info else None
        fields = {"exception": describe_exception(error)} if error is not None else {}
        self._event("log", level, logger=record.name, message=redact(_message(record)), **fields)


def redact(text: str) -> str:
    """`text` without what looks like credentials, tokens or cookies."""
    text = _CREDENTIALS.sub(r"\1 [redacted]", text)
    return _TOKEN.sub(_redacted_token, _COOKIE.sub(r"\1[redacted]", text))


def describe_exception(error: BaseException) -> str:
    """Traceback, type and message of `error` and of what caused it, the cause first."""
    parts = []
    for link in reversed(list(_chain(error))):
        message = "" if type(link).__module__.startswith("aiohttp") else redact(str(link))
        parts.append(
            "".join(format_tb(link.__traceback__)) + f"{type(link).__name__}: {message}".rstrip(": ")
        )
    return "\n".join(parts)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (KeyError, TypeError, ValueError):  # arguments that do not fit; the logging call must not fail
        return str(record.msg)


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    for _ in range(_MAX_CHAIN):
        if link is None:
            return
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _redacted_token(match: re.Match[str]) -> str:
    # Module names and host names have dots too; the parts of a token are longer than their words.
    return "[redacted]" if any(len(part) >= 20 for part in match.group().split(".")) else match.group()
