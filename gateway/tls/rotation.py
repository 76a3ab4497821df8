"""TLS contexts that follow their files: a changed file makes a new context for the connections to come.

The files are read every two seconds and compared by content, so that it does not matter how they are
replaced: written over, renamed, or by a swapped symlink (Kubernetes). Connections that exist go on. Whole
contexts are handed over, not just certificates (as an SNI callback would), which keeps sessions apart too: a
client whose authority was taken out cannot resume one that was made before.

Invariant: `current` was made of files that fit each other; what does not (a key of another certificate, half
of a file), and an expired certificate in the place of a valid one, is said in the log, and the last good one
stays.
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

# Seconds between two looks at the files: small beside the days a certificate lives, nothing beside the work.
_INTERVAL = 2.0


class WatchedContext:
    """The context made last of these files. `start` begins to watch them, `stop` ends it."""

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
        """Raises GatewayError when the first context cannot be made; `section` names it in log and metrics.
        `certificate`: the file of the one that is shown; None: none is."""
        self._section = section
        self._files = files
        self._build = build
        self._certificate = certificate
        self._log = log
        self._metrics = metrics
        # Read before the context is made: a change in between is found by the next look.
        self._seen = _contents(files)
        self.current = build()
        # Of the certificate in `current`.
        self._valid = None if certificate is None else validity(certificate)
        self._show(self._valid)
        problem = None if self._valid is None else self._valid.problem(time.time())
        if problem is not None:
            told = f"{section}.certificate_file {certificate}: {problem}"
            log.event("certificate_invalid", level="warning", section=section, exact=told)
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
        """Look at the files now."""
        # In a thread: files may lie on a network, and a key is parsed for some milliseconds.
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
        """Raises GatewayError for files that must not take the place of those before."""
        context = self._build()
        if self._certificate is None:
            return context, None
        found, now = validity(self._certificate), time.time()
        problem = None if found is None else found.problem(now)
        # With nothing better in use it may as well be taken.
        if problem is not None and (self._valid is None or self._valid.problem(now) is None):
            raise GatewayError(f"{self._section}.certificate_file {self._certificate}: {problem}")
        return context, found

    def _show(self, valid: Validity | None) -> None:
        self._valid = valid
        if valid is not None:
            self._metrics.certificate_expiry[self._section] = valid.until


def listen_tls(listen: Listen, log: Logger, metrics: WorkerMetrics) -> WatchedContext | None:
    """The public listener's context; None where it speaks plain HTTP. Raises GatewayError."""
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
    """The context for an https upstream; None for the others. Raises GatewayError."""
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
    """A digest of each file; None for one that cannot be read."""
    return [_digest(file) for file in files]


def _digest(file: Path) -> bytes | None:
    try:
        return sha256(file.read_bytes()).digest()
    except OSError:
        return None
