"""The bridge from Python's `logging` (aiohttp, asyncio) to the gateway's log, as event "log".

Records from WARNING up are passed on. Invariant: these texts are not ours, so they pass through `redact`, and
the messages of aiohttp's HTTP errors, which quote what a client sent, are omitted.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from traceback import format_tb

# A scheme and its credentials (RFC 9110 section 11.4), and anything with the form of a compact JWS or JWE.
_CREDENTIALS = re.compile(r"(?i)\b(bearer|basic|digest)\s+[^\s'\",]+")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]*){2,4}")
# Cookies: the rest of the header line.
_COOKIE = re.compile(r"(?i)\b((?:set-)?cookie\b\W{1,5})[^\r\n]+")

# Exception chains may be cyclic in theory; further links add nothing.
_MAX_CHAIN = 5


class Bridge(logging.Handler):
    """Passes every record to `event`, which has the signature of `Logger.event`."""

    def __init__(self, event: Callable[..., None]) -> None:
        super().__init__(logging.WARNING)
        self._event = event

    def emit(self, record: logging.LogRecord) -> None:
        level = "error" if record.levelno >= logging.ERROR else "warning"
        error = record.exc_info[1] if record.exc_info else None
        fields = {"exception": describe_exception(error)} if error is not None else {}
        self._event("log", level, logger=record.name, message=redact(_message(record)), **fields)


def redact(text: str) -> str:
    """Return the text without anything that looks like credentials, tokens or cookies."""
    text = _CREDENTIALS.sub(r"\1 [redacted]", text)
    return _TOKEN.sub(_redacted_token, _COOKIE.sub(r"\1[redacted]", text))


def describe_exception(error: BaseException) -> str:
    """Return traceback, type and message of an exception and of its causes, the first cause first."""
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
    except (KeyError, TypeError, ValueError):  # mismatched arguments; the logging call must not fail
        return str(record.msg)


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    for _ in range(_MAX_CHAIN):
        if link is None:
            return
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _redacted_token(match: re.Match[str]) -> str:
    # Module and host names have dots too; the parts of a token are longer than their words.
    return "[redacted]" if any(len(part) >= 20 for part in match.group().split(".")) else match.group()
