"""Where log lines go: a bounded queue, and one thread that writes them to the stream.

A reader of stdout that stops reading must never stop requests, and a pipe inherited from others cannot be
made non-blocking without changing it for them too: so a thread waits, not the event loop.

Invariant: `put` never blocks and never raises. Lines the stream did not take in time are counted, and the
count is logged when the stream moves again; a line that was taken in part never begins another one.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import BinaryIO

# Linux's PIPE_BUF (pipe(7)): no more than this is written at once, so that the lines of several workers on
# one pipe never mix. POSIX guarantees 512 only; platforms besides Linux mix lines above their own limit.
ATOMIC_WRITE = 4096

# Lines waiting for a stalled reader: about 1.5 MB of usual access lines, 16 MiB of the longest.
_MAX_WAITING = 4096

# Seconds the thread lets lines gather before it writes them. To be woken and to write for each line costs
# a busy worker a quarter of a request; this long nobody notices, nor loses a killed process more.
_GATHER = 0.02

# Seconds between two tries on a full non-blocking descriptor; nobody waits for it but the log.
_FULL_PAUSE = 0.05


class Sink:
    """Owns the writing thread; `stream` is a raw (unbuffered) one and stays open.

    `dropped_line` renders the line that reports how many lines were lost.
    """

    def __init__(self, stream: BinaryIO, dropped_line: Callable[[int], bytes]) -> None:
        self._stream = stream
        self._dropped_line = dropped_line
        self._waiting: deque[bytes] = deque()
        # Whether the thread has to be woken; wrong only so that it is woken for nothing.
        self._asleep = False
        self._wake = threading.Event()
        self._closed = False
        self._closing = threading.Event()
        self._refused = 0  # lines the queue had no place for; counted by the callers
        self._failed = 0  # lines the stream did not take; counted by the thread
        self._reported = 0
        # The stream took a part of a line and no more: what is written next begins a new one.
        self._torn = False
        # A daemon, because a write nobody reads must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Lines lost so far."""
        return self._refused + self._failed

    def put(self, line: bytes) -> None:
        """Queue one line (newline included, at most ATOMIC_WRITE bytes)."""
        if self._closed or len(self._waiting) >= _MAX_WAITING:
            self._refused += 1
            return
        self._waiting.append(line)
        if self._asleep:
            self._asleep = False
            self._wake.set()

    def close(self, timeout: float) -> None:
        """Write what waits, for at most `timeout` seconds; lines that come later are dropped."""
        self._closed = True
        self._closing.set()
        self._wake.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._closed or self._waiting:
            self._asleep = True
            # Looked at after it was said: whoever puts a line now either is seen here or wakes us.
            if not self._waiting:
                self._wake.wait()
            self._asleep = False
            self._wake.clear()
            self._closing.wait(_GATHER)
            for batch in self._batches():
                self._failed += self._write(b"".join(batch))
                if (lost := self.dropped - self._reported) and not self._write(self._dropped_line(lost)):
                    self._reported += lost

    def _batches(self) -> Iterator[list[bytes]]:
        """What waits, in portions that fit into one write."""
        batch: list[bytes] = []
        size = 0
        while self._waiting:
            line = self._waiting.popleft()
            if size + len(line) > ATOMIC_WRITE:
                yield batch
                batch, size = [], 0
            batch.append(line)
            size += len(line)
        if batch:
            yield batch

    def _write(self, data: bytes) -> int:
        """Write these lines; returns how many of them the stream did not take whole.

        That is so for a closed pipe and a full disk; requests go on.
        """
        rest = b"\n" + data if self._torn else data
        whole = len(data)
        try:
            while rest:
                # None: the descriptor is non-blocking (somebody else's doing) and full.
                if written := self._stream.write(rest):
                    self._torn = rest[written - 1 : written] != b"\n"
                    rest = rest[written:]
                else:
                    time.sleep(_FULL_PAUSE)
        except (OSError, ValueError):  # ValueError: the stream was closed
            return rest[-whole:].count(b"\n")
        return 0
