"""The logger: one line per record on stdout, access lines and events (docs/logs.md lists them).

Records are formatted at once (gateway/observe/lines.py) and written by a thread (gateway/observe/sink.py).

Invariant: logging never fails or delays a request; a path is logged without its query.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from collections.abc import Callable
from io import FileIO
from typing import BinaryIO, TypeVar, cast

from gateway.config.model import Log
from gateway.observe.bridge import Bridge
from gateway.observe.lines import fit, json_record, quote, text_record
from gateway.observe.sink import ATOMIC_WRITE, Sink

_Text = TypeVar("_Text", str, str | None)
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

# A token in a path, as in links of mails: base64url of `{"`, and everything that may belong to it.
_TOKEN = re.compile(r"eyJ[A-Za-z0-9_.%-]{16,}")


# The hint with the first failure of its kind.
DOCTOR = "cognito-gateway doctor compares keys, clock, user pool and upstream with the configuration"

# Cached literals of access lines: methods, addresses, paths and subjects repeat. At most some 0.5 MiB; a
# client that keeps inventing paths only makes the cache start over.
_REMEMBERED, _REMEMBERED_LENGTH = 2048, 128
# Characters of a path in an access line, and of a refused one, which nobody needs in full; and of a method,
# of which the longest registered one has 17.
_LONGEST_PATH, _LONGEST_REFUSED, _LONGEST_METHOD = 1024, 256, 32


class Logger:
    """Formats records and passes them to the sink; created by `configure`, ended by `close`."""

    def __init__(self, log: Log, stream: BinaryIO, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._terminal = stream.isatty()
        # The last Unix second and its text, and the same for the last millisecond.
        self._second = self._moment = (-1, "")
        self._literals: dict[str | None, str] = {None: "null"}
        self._paths: dict[str, str] = {}
        self.apply(log)
        self._sink = Sink(stream, self._dropped_line)
        self._bridge = Bridge(self.event)
        logging.getLogger().addHandler(self._bridge)

    def apply(self, log: Log) -> None:
        """Use these settings from now on."""
        self._threshold = _LEVELS[log.level]
        self._json = log.format == "json" or (log.format == "auto" and not self._terminal)
        self._render = json_record if self._json else text_record
        # Public, so that the request path can skip collecting the fields.
        self.access_enabled = log.access and self.enabled("info")
        # The share of ordinary requests that is logged; 1.0: all.
        self.access_share = log.sample

    @property
    def dropped(self) -> int:
        """Lines lost because the stream was not read or was closed."""
        return self._sink.dropped

    def enabled(self, level: str) -> bool:
        """Return whether records of `level` (debug, info, warning, error) are written."""
        return _LEVELS[level] >= self._threshold

    def event(self, event: str, level: str = "info", **fields: object) -> None:
        """Write one record. Field names are ours; values may contain anything but secrets."""
        if _LEVELS[level] >= self._threshold:
            record = {"timestamp": self._timestamp(), "level": level, "event": event, **fields}
            self._sink.put(fit(record, self._render))

    def access(
        self,
        *,
        request_id: str,
        client: str,
        method: str,
        path: str,
        status: int,
        duration_ms: float,
        request_bytes: int,
        response_bytes: int,
        upstream_ms: float | None,
        subject: str | None,
        pool: str | None,
        decision: str,
        reason: str | None,
    ) -> None:
        """Write the access line of one request, at level info.

        `path` may be the whole request target; `subject` is the `sub` of verified claims.
        """
        if not self.access_enabled:
            return
        longest = _LONGEST_REFUSED if decision == "refused" else _LONGEST_PATH
        method = method[:_LONGEST_METHOD]
        upstream = "null" if upstream_ms is None else f"{upstream_ms:.3f}"
        if self._json:
            # Formatted by hand, on every request: a third of the time of the general way below.
            literal = self._literal
            line = (
                f'{{"timestamp":"{self._timestamp()}","level":"info","event":"request"'
                f',"request_id":{quote(request_id)},"client":{literal(client)},"method":{literal(method)}'
                f',"path":{self._path(path, longest)},"status":{status},"duration_ms":{duration_ms:.3f}'
                f',"request_bytes":{request_bytes},"response_bytes":{response_bytes},"upstream_ms":{upstream}'
                f',"subject":{literal(subject)},"pool":{literal(pool)}'
                f',"decision":{literal(decision)},"reason":{literal(reason)}}}\n'
            )
            if len(line) <= ATOMIC_WRITE:
                self._sink.put(line.encode("ascii"))
                return
        self.event(
            "request",
            request_id=request_id,
            client=client,
            method=method,
            path=_cut(loggable_path(path), longest),
            status=status,
            duration_ms=round(duration_ms, 3),
            request_bytes=request_bytes,
            response_bytes=response_bytes,
            upstream_ms=None if upstream_ms is None else round(upstream_ms, 3),
            subject=subject,
            pool=pool,
            decision=decision,
            reason=reason,
        )

    def close(self, timeout: float = 1.0) -> None:
        """Write pending lines, for at most `timeout` seconds. Later records are dropped."""
        logging.getLogger().removeHandler(self._bridge)
        self._sink.close(timeout)

    def _literal(self, text: str | None) -> str:
        known = self._literals.get(text)
        return known or _remember(self._literals, text, "null" if text is None else quote(text))

    def _path(self, target: str, longest: int) -> str:
        known = self._paths.get(target)
        if known is not None:
            return known
        literal = quote(_cut(loggable_path(target), longest))
        # A long target may have a short path.
        return literal if len(target) > _LONGEST_PATH else _remember(self._paths, target, literal)

    def _timestamp(self) -> str:
        """Return the time in RFC 3339, UTC with milliseconds; cached per millisecond and per second."""
        now = int(self._clock() * 1000)
        known, rendered = self._moment
        if now != known:
            second, milliseconds = divmod(now, 1000)
            if second != self._second[0]:
                self._second = (second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)))
            rendered = f"{self._second[1]}.{milliseconds:03d}Z"
            self._moment = (now, rendered)
        return rendered

    def _dropped_line(self, lines: int) -> bytes:
        record = {"timestamp": self._timestamp(), "level": "warning", "event": "log_dropped", "lines": lines}
        return fit(record, self._render)


def configure(log: Log, stream: BinaryIO | None = None) -> Logger:
    """Create the log on `stream` (raw; it stays open), by default stdout, and connect Python's `logging`."""
    return Logger(log, stream if stream is not None else _stdout())


def loggable_path(target: str) -> str:
    """Return a request target without its query, which may hold codes and tokens, and without tokens.

    RFC 9112 section 3.2: other forms than the origin form name a host, perhaps with a password; they become
    `-`.
    """
    if target.startswith("/"):
        path = target.partition("?")[0]
        return _TOKEN.sub("[redacted]", path) if "eyJ" in path else path
    return "*" if target == "*" else "-"


def _cut(path: str, longest: int) -> str:
    """Return the beginning of a path and its length, because clients choose what they send."""
    return path if len(path) <= longest else f"{path[:longest]}…[{len(path)}]"


def _remember(literals: dict[_Text, str], text: _Text, literal: str) -> str:
    if len(literal) <= _REMEMBERED_LENGTH:
        if len(literals) >= _REMEMBERED:
            literals.clear()
        literals[text] = literal
    return literal


def _stdout() -> BinaryIO:
    """Return file descriptor 1 unbuffered, or /dev/null if the process was started without stdout."""
    if sys.__stdout__ is None:
        return cast(BinaryIO, FileIO(os.devnull, "w"))
    return cast(BinaryIO, FileIO(sys.__stdout__.fileno(), "w", closefd=False))
