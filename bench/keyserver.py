"""The key endpoint of the benchmark's user pool on loopback; it counts its requests."""

from __future__ import annotations

import threading

from bench.loopback import Handler, Loopback

PATH = "/.well-known/jwks.json"


class KeyServer(Loopback):
    """Serves one key set at PATH until closed. `fetches` counts every request for it."""

    def __init__(self, key_set: bytes) -> None:
        self._lock = threading.Lock()
        self._fetches = 0
        keys = self

        class Keys(Handler):
            def do_GET(self) -> None:  # noqa: N802  (http.server's name)
                found = self.path == PATH
                if found:
                    keys.count()
                self.answer(200 if found else 404, "application/json", key_set if found else b"{}")

        super().__init__(Keys)

    @property
    def url(self) -> str:
        return self.origin + PATH

    @property
    def fetches(self) -> int:
        with self._lock:
            return self._fetches

    def count(self) -> None:
        with self._lock:
            self._fetches += 1
