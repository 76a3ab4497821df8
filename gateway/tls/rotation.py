"""TLS contexts that follow their files: after a change, new connections get a new context.

The files are read every two seconds and compared by content, so that it does not matter how they are
replaced: overwritten, renamed, or by a swapped symlink (Kubernetes). Existing connections continue. A new
context also separates TLS sessions, which replacing only certificates in an SNI callback would not: a client
whose CA was removed cannot resume an earlier session.

Invariant: `current` was built from files that match. Files that do not (a key of another certificate, half a
file), and an expired certificate in place of a valid one, are logged, and the last good context stays.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

from gateway.config.model import ClientTls, Listen, Upstream
from gateway.errors import GatewayError
from gateway.observe.logs import Logger
from gateway.observe.metrics import WorkerMetrics
from gateway.tls.certificates import Validity, validity
from gateway.tls.contexts import client_context, files_of, server_context

# Seconds between two reads of the files: short beside a certificate's life, and cheap.
_INTERVAL = 2.0


class WatchedContext:
    """The last context built from these files. `start` begins to watch them, `stop` ends it."""

    def __init__(
        self,
        section: str,
        files: Sequence[Path],
        build: Callable[[], ssl.SSLContext],
        *,
        certificate: Path | None,
        log: Logger,
        metrics: WorkerMetrics,
    ) -> None:
        """`section` names the context in logs and metrics; `certificate` is the file of ours, if any.

        Raises GatewayError if the first context cannot be built.
        """
        self._section = section
        self._files = files
        self._build = build
        self._certificate = certificate
        self._log = log
        self._metrics = metrics
        # Read before the context is built: a change in between is found by the next read.
        self._seen = _contents(files)
        self.current = build()
        # The validity of the certificate in `current`.
        self._valid = None if certificate is None else validity(certificate)
        self._show(self._valid)
        problem = None if self._valid is None else self._valid.problem(time.time())
        if problem is not None:
            message = f"{section}.certificate_file {certificate}: {problem}"
            log.event("certificate_invalid", level="warning", section=section, exact=message)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._task is None and self._files:
            self._task = asyncio.get_running_loop().create_task(self._watch(), name=f"watch {self._section}")

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_INTERVAL)
            await self.refresh()

    async def refresh(self) -> None:
        """Reload the files now, if they changed."""
        # In a thread: files may be on a network volume, and parsing a key takes some milliseconds.
        seen = await asyncio.to_thread(_contents, self._files)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self.current, valid = await asyncio.to_thread(self._next)
        except GatewayError as error:
            self._log.event(
                "tls_reload", level="error", section=self._section, result="failure", exact=str(error)
            )
        else:
            self._show(valid)
            self._log.event("tls_reload", section=self._section, result="success", exact=None)

    def _next(self) -> tuple[ssl.SSLContext, Validity | None]:
        """Build the next context. Raises GatewayError for files that must not replace the current ones."""
        context = self._build()
        if self._certificate is None:
            return context, None
        found, now = validity(self._certificate), time.time()
        problem = None if found is None else found.problem(now)
        # If the current certificate is no better, the new one is used.
        if problem is not None and (self._valid is None or self._valid.problem(now) is None):
            raise GatewayError(f"{self._section}.certificate_file {self._certificate}: {problem}")
        return context, found

    def _show(self, valid: Validity | None) -> None:
        self._valid = valid
        if valid is not None:
            self._metrics.certificate_expiry[self._section] = valid.until


def listen_tls(listen: Listen, log: Logger, metrics: WorkerMetrics) -> WatchedContext | None:
    """Return the public listener's context; None for plain HTTP. Raises GatewayError."""
    tls = listen.tls
    if tls is None:
        return None
    return WatchedContext(
        "listen.tls",
        files_of(tls),
        lambda: server_context(tls),
        certificate=tls.certificate_file,
        log=log,
        metrics=metrics,
    )


def upstream_tls(upstream: Upstream, log: Logger, metrics: WorkerMetrics) -> WatchedContext | None:
    """Return the context for an https upstream; None for others. Raises GatewayError."""
    if upstream.scheme != "https":
        return None
    tls = upstream.tls or ClientTls()
    return WatchedContext(
        "upstream.tls",
        files_of(tls),
        lambda: client_context(tls),
        certificate=tls.certificate_file,
        log=log,
        metrics=metrics,
    )


def _contents(files: Sequence[Path]) -> list[bytes | None]:
    """Return a digest of each file; None for one that cannot be read."""
    return [_digest(file) for file in files]


def _digest(file: Path) -> bytes | None:
    try:
        return sha256(file.read_bytes()).digest()
    except OSError:
        return None
