"""A counter and a set of used names, shared by all workers of one start: what may happen only once.

Stored in an anonymous file that the workers inherit and that ends with them. Invariant: of several processes
that claim the same number at once, one succeeds.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

# File layout: the number and the position of the next name, 8 bytes each; then the names as truncated
# digests.
_NUMBER, _NEXT, _NAMES = 0, 8, 16
_SIZE = 16
# The oldest are overwritten first: an hour's worth on a very busy day.
MOST = 4096


class Once:
    """A counter and a set of names in shared memory. Thread-safe."""

    def __init__(self, descriptor: int) -> None:
        """Take ownership of the descriptor."""
        self._descriptor = descriptor
        # A POSIX file lock belongs to the process: threads need their own.
        self._lock = threading.Lock()
        weakref.finalize(self, os.close, descriptor)

    @classmethod
    def make(cls) -> Once:
        try:
            return cls(os.memfd_create("once"))
        except (AttributeError, OSError):  # not Linux, or not allowed
            with tempfile.TemporaryFile() as file:
                return cls(os.dup(file.fileno()))

    def fileno(self) -> int:
        return self._descriptor

    @property
    def number(self) -> int:
        return self._read(_NUMBER)

    def claim(self, number: int) -> bool:
        """Return whether `number` is still current, and advance to the next one if so."""
        with self._locked():
            if self._read(_NUMBER) != number:
                return False
            self._write(_NUMBER, number + 1)
            return True

    def use(self, name: str) -> None:
        """Record this name, so that `used` returns true for it."""
        with self._locked():
            at = self._read(_NEXT)
            os.pwrite(self._descriptor, _digest(name), _NAMES + at * _SIZE)
            self._write(_NEXT, (at + 1) % MOST)

    def used(self, name: str) -> bool:
        names, wanted = os.pread(self._descriptor, MOST * _SIZE, _NAMES), _digest(name)
        return any(names[at : at + _SIZE] == wanted for at in range(0, len(names), _SIZE))

    def _read(self, place: int) -> int:
        return int.from_bytes(os.pread(self._descriptor, 8, place), "big")

    def _write(self, place: int, number: int) -> None:
        os.pwrite(self._descriptor, number.to_bytes(8, "big"), place)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._lock:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN)

    def __repr__(self) -> str:
        return f"<Once {self.number}>"


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8")).digest()[:_SIZE]
