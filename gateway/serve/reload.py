"""Configuration reloads: watches the files, validates a new configuration, applies it or keeps the old one.

The files are polled, which works for every editor, for bind mounts, and for a ConfigMap, where a symbolic
link is swapped. Invariant: a broken or half-written file changes nothing; every attempt is counted and logged
once, with the keys that could not be applied.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from gateway.abandon import abandonable
from gateway.config.load import Loaded
from gateway.config.model import Config
from gateway.config.stored import stored_file
from gateway.errors import GatewayError
from gateway.observe.bugs import report
from gateway.observe.logs import Logger
from gateway.observe.metrics import WorkerMetrics

# Seconds between two polls, of a few stat calls each. A ConfigMap takes a minute to arrive anyway.
_LOOK = 1.0
# A file that is being written: wait until it is the same twice, but not indefinitely.
_SETTLE, _SETTLE_TRIES = 0.1, 20
# A file that lost pools or routes may be half written: it must stay the same for this many seconds, be read
# once more, and be the same again. Editors and `cp` write within milliseconds.
_QUIET, _QUIET_READS = 2.0, 2
# Of the 64 digits that sha256sum prints, enough to tell files apart in a log.
_CHECKSUM = 12

# A file's state without reading it: device, inode, time of change in ns, size. None: it does not exist.
Mark: TypeAlias = tuple[int, int, int, int] | None


class ConfigurationSource:
    """The source of a configuration: its main file, and the function that loads it (environment, flags)."""

    def __init__(self, path: Path, load: Callable[[], Loaded]) -> None:
        self.path = path
        self._load = load
        # State of the main file at the last read; taken before reading, so that no change is missed.
        self.mark: Mark = None
        self.digest = b""

    def load(self) -> Loaded:
        """Load the configuration. Raises ConfigurationError with every mistake."""
        self.mark, self.digest = _mark(self.path), _digest(self.path)
        return self._load()


class Service(Protocol):
    """What is reloaded. Implementations: Worker, Supervisor."""

    @property
    def config(self) -> Config: ...

    @property
    def metrics(self) -> WorkerMetrics: ...

    @property
    def log(self) -> Logger: ...

    async def reload(self, config: Config) -> None:
        """Apply a configuration. Raises GatewayError, and then nothing has changed."""

    def hold_back(self, reason: str | None) -> None:
        """Fail readiness for this reason: the changed configuration looks incomplete. None: no longer."""


class Reloader:
    """Watches the files from `start` to `stop`."""

    def __init__(self, source: ConfigurationSource, service: Service) -> None:
        self._source = source
        self._service = service
        self._asked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._marks: dict[Path, Mark] = {}
        self._contents: dict[Path, bytes] = {}
        # Of the file in use: an invalid one does not replace it.
        self._served = _checksum(source.digest)
        # Here, not in `start`: by then a worker may have read a file that has changed since.
        self._remember()

    def start(self) -> None:
        self._task = asyncio.create_task(self._watch(), name="configuration")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    def ask(self) -> None:
        """Reload now, whether or not a file has changed (SIGHUP)."""
        self._asked.set()

    async def _watch(self) -> None:
        while True:
            try:
                async with asyncio.timeout(_LOOK):
                    await self._asked.wait()
            except TimeoutError:
                if not await self._changed():
                    continue
            self._asked.clear()
            try:
                await self._reload()
            except Exception as bug:  # noqa: BLE001 - the next version of the file must get its chance
                report("reloading the configuration failed", bug)

    async def _changed(self) -> bool:
        """Return whether a file's content has changed since it was read; waits until it is written."""
        marks = self._look()
        if marks == self._marks:
            return False
        for _ in range(_SETTLE_TRIES):
            await asyncio.sleep(_SETTLE)
            before, marks = marks, self._look()
            if marks == before:
                break
        self._marks = marks
        return {path: _digest(path) for path in marks} != self._contents

    async def _reload(self) -> None:
        service = self._service
        try:
            loaded = await self._read()
            config, kept = applicable(loaded.config, service.config)
            changed = self._others_changed()
            same = config == service.config and not changed
            if not same:
                await service.reload(config)
        except GatewayError as error:
            self._report("failure", "error", mistakes=str(error).splitlines())
        except Exception:
            # `_watch` reports the error itself.
            self._report("failure", "error", mistakes=["an internal error: the log has the traceback"])
            raise
        else:
            level = "warning" if kept else "info"
            result = "unchanged" if same else "success"
            self._report(result, level, changed=changed, not_applied=kept, warnings=list(loaded.warnings))
            self._served = _checksum(self._source.digest)
        finally:
            self._remember()

    async def _read(self) -> Loaded:
        """Return the files' configuration: at once, or once it is certainly complete.

        Raises ConfigurationError.
        """
        before, agreeing, held = None, 0, False
        try:
            while True:
                # In a thread: reading a long file takes longer than a request, or a stop, may wait.
                loaded = await abandonable(self._source.load)
                lost = losses(loaded.config, self._service.config)
                now = (self._source.digest, loaded.config)
                agreeing = agreeing + 1 if now == before else 0
                if not lost or agreeing >= _QUIET_READS:
                    return loaded
                before = now
                if not held:
                    held = True
                    self._service.log.event("config_reload_deferred", level="warning", lost=lost)
                self._service.hold_back(_nothing_left(loaded.config, self._service.config))
                await self._quiet()
        finally:
            if held:
                self._service.hold_back(None)

    async def _quiet(self) -> None:
        """Wait until no file has changed for a while."""
        marks, since = self._look(), time.monotonic()
        while time.monotonic() - since < _QUIET:
            await asyncio.sleep(_SETTLE)
            now = self._look()
            if now != marks:
                marks, since = now, time.monotonic()

    def _others_changed(self) -> list[str]:
        """Return the changed files besides the main one, by name: their contents are secrets."""
        others = files_of(self._service.config)
        return [str(path) for path in others if self._contents.get(path) != _digest(path)]

    def _report(
        self,
        result: str,
        level: str,
        *,
        mistakes: list[str] | None = None,
        changed: list[str] | None = None,
        not_applied: list[str] | None = None,
        warnings: list[str] | None = None,
    ) -> None:
        self._service.metrics.config_reloads[result] += 1
        self._service.metrics.config_last_reload_successful = int(result != "failure")
        self._service.log.event(
            "config_reload",
            level=level,
            result=result,
            old_checksum=self._served,
            new_checksum=_checksum(self._source.digest),
            changed=changed or None,
            mistakes=mistakes or None,
            not_applied=not_applied or None,
            warnings=warnings or None,
        )

    def _remember(self) -> None:
        main, others = self._source.path, files_of(self._service.config)
        self._marks = {main: self._source.mark} | {path: _mark(path) for path in others}
        self._contents = {main: self._source.digest} | {path: _digest(path) for path in others}

    def _look(self) -> dict[Path, Mark]:
        return {path: _mark(path) for path in (self._source.path, *files_of(self._service.config))}


def shortcomings(metrics: WorkerMetrics) -> list[dict[str, str]]:
    """Return the warnings of the readiness probe: problems that need no traffic to go elsewhere."""
    if metrics.config_last_reload_successful:
        return []
    told = "the changed file is invalid, the last valid one stays: config_reload in the log says why"
    return [{"component": "configuration", "reason": told}]


# --- pure, except for reading files -------------------------------------------------------------------------


def applicable(wanted: Config, running: Config) -> tuple[Config, list[str]]:
    """Return the part of `wanted` that can be applied to a running gateway, and a sentence for each other
    key.

    Sockets and processes cannot change: that takes a restart, in which both old and new serve for a while.
    """
    listen, kept = wanted.listen, []
    for name, key in (("address", "listen.address"), ("workers", "listen.workers"), ("tls", "listen.tls")):
        old = getattr(running.listen, name)
        if getattr(listen, name) != old:
            kept.append(f"{key} stays unchanged until the gateway is restarted")
            listen = dataclasses.replace(listen, **{name: old})
    for name in ("address", "path"):
        if getattr(wanted.metrics, name) != getattr(running.metrics, name):
            kept.append(f"metrics.{name} stays unchanged until the gateway is restarted")
    if wanted.ext_authz != running.ext_authz:
        kept.append("ext_authz.grpc_address stays unchanged until the gateway is restarted")
    return dataclasses.replace(
        wanted, listen=listen, metrics=running.metrics, ext_authz=running.ext_authz
    ), kept


def losses(wanted: Config, running: Config) -> list[str]:
    """Return what `wanted` has fewer of than the running configuration, as in a half-written file."""
    before, after = running.cognito.user_pools, wanted.cognito.user_pools
    lost = []
    if gone := {pool.id for pool in before} - {pool.id for pool in after}:
        lost.append(f"cognito.user_pools: {', '.join(sorted(gone))}")
    if len(wanted.routes) < len(running.routes):
        lost.append(f"routes: {len(wanted.routes)} instead of {len(running.routes)}")
    return lost


def _nothing_left(wanted: Config, running: Config) -> str | None:
    """Return a reason to fail readiness if all pools or routes are gone; None otherwise."""
    gone = []
    if running.cognito.user_pools and not wanted.cognito.user_pools:
        gone.append("user pools")
    if running.routes and not wanted.routes:
        gone.append("routes")
    if not gone:
        return None
    return f"the configuration file lost all its {' and '.join(gone)}: held back, it may be half written"


def files_of(config: Config) -> list[Path]:
    """Return the files whose content is part of the configuration.

    Not those that are watched where they are used: key sets, and certificates with their keys.
    """
    return list(_files(config))


def _files(value: Any) -> Iterator[Path]:
    if isinstance(value, tuple):
        for item in value:
            yield from _files(item)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            each = getattr(value, field.name)
            if isinstance(each, Path):
                if field.name.endswith("_file") and field.name != "jwks_file":
                    yield each
                elif field.name == "state_dir":
                    # Whether or not it exists: the set-up page may write it at any time.
                    yield stored_file(each)
            elif field.name != "tls":
                yield from _files(each)


def _mark(path: Path) -> Mark:
    try:
        # Of the link's target: in a ConfigMap `..data` is swapped, but never the file's own link.
        status = path.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)


def _checksum(digest: bytes) -> str | None:
    return digest.hex()[:_CHECKSUM] or None


def _digest(path: Path) -> bytes:
    """Return a digest of a file's content; empty if it is unreadable or not a regular file."""
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return b""
