"""The log sink: a bounded queue, and one thread that writes its lines to the stream.

A reader that stops reading stdout must never stop requests, and an inherited pipe cannot be made non-blocking
without changing it for others: so a thread waits, not the event loop.

Invariant: `put` never blocks and never raises. Lines that the stream did not accept in time are counted, and
the count is logged once it accepts again; a partly written line never runs into the next one.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import BinaryIO

# Linux's PIPE_BUF (pipe(7)): no more is written at once, so that lines of several workers on one pipe never
# mix. POSIX guarantees only 512; other platforms may mix lines above their own limit.
ATOMIC_WRITE = 4096

# Lines queued for a stalled reader: about 1.5 MB of usual access lines, 16 MiB of the longest.
_MAX_WAITING = 4096

# Seconds for which lines are gathered before they are written. Waking and writing for each line would cost a
# busy worker a quarter of a request; such a delay is not noticeable, and a killed process loses little.
_GATHER = 0.02

# Seconds between two attempts on a full non-blocking descriptor; only the log waits.
_FULL_PAUSE = 0.05


class Sink:
    """Owns the writing thread; `stream` is raw (unbuffered) and stays open.

    `dropped_line` formats the line that reports how many lines were lost.
    """

    def __init__(self, stream: BinaryIO, dropped_line: Callable[[int], bytes]) -> None:
        self._stream = stream
        self._dropped_line = dropped_line
        self._waiting: deque[bytes] = deque()
        # Whether the thread has to be woken; may be stale only towards a needless wake-up.
        self._asleep = False
        self._wake = threading.Event()
        self._closed = False
        self._closing = threading.Event()
        self._refused = 0  # lines refused by the full queue; counted by callers
        self._failed = 0  # lines not accepted by the stream; counted by the thread
        self._reported = 0
        # The stream accepted a part of a line: the next write begins with a newline.
        self._torn = False
        # A daemon, because a blocked write must not keep the process alive.
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
        """Write pending lines, for at most `timeout` seconds; later ones are dropped."""
        self._closed = True
        self._closing.set()
        self._wake.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._closed or self._waiting:
            self._asleep = True
            # Checked after setting the flag: a concurrent `put` is either seen here or wakes us.
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
        """Yield pending lines in batches that fit into one write."""
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
        """Write these lines; return how many of them the stream did not accept completely.

        This happens for a closed pipe or a full disk; requests continue.
        """
        rest = b"\n" + data if self._torn else data
        whole = len(data)
        try:
            while rest:
                # None: the descriptor was made non-blocking by another process, and is full.
                if written := self._stream.write(rest):
                    self._torn = rest[written - 1 : written] != b"\n"
                    rest = rest[written:]
                else:
                    time.sleep(_FULL_PAUSE)
        except (OSError, ValueError):  # ValueError: the stream was closed
            return rest[-whole:].count(b"\n")
        return 0
