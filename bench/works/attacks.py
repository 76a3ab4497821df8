"""Attacks: how long other clients wait, how much memory the proxy holds, what hostile heads cost.

Each attack meets a fresh process. Memory is resident memory of the proxy's processes: what the kernel holds
for the sockets is the same for all.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from time import perf_counter
from typing import ClassVar

from bench import procfs, stalling
from bench.certificate import write_self_signed
from bench.contestants import Contestant, Gateway
from bench.goals import Goal
from bench.load.attack import Attack, attacked, head
from bench.load.lines import ask, connect
from bench.processes import BenchError, fetch, free_port
from bench.report import Column
from bench.stats import Sample
from bench.works.base import Arena, Work, restart

KIB = 1024
# Seconds before memory is read: buffers of the last turn are freed, and the upstream has sent what it can.
SETTLE_SECONDS = 2.0
# Seconds after which an answer counts as too late.
LONGEST_WAIT = 30.0
# Seconds between two requests of the client whose waiting is measured.
PAUSE = 0.005

# For each: key, description, kind, number of connections.
FLOODS = (
    ("gets_1_ms", "GETs, 1 connection", "gets", 1),
    ("gets_64_ms", "GETs, 64 connections", "gets", 64),
    ("frames_ms", "empty frames", "frames", 1),
    ("chunks_ms", "1-byte chunks", "chunks", 1),
)
HELD = (
    ("pipelined_kib", "19 KB of pipelined heads", "pipelined", 200),
    ("slow_reader_kib", "slow reader", "slow_reader", 200),
    ("stuck_upload_kib", "upload not read", "stuck_upload", 60),
    ("stalled_socket_kib", "stalled WebSocket", "stalled_socket", 60),
    ("half_head_kib", "half a head, 26 KB", "half_head", 500),
    ("kept_head_kib", "kept alive after 3.2 KB", "kept_head", 1000),
)
HELD_TLS = (
    ("hello_kib", "TLS after ClientHello", "hello", 500),
    ("idle_tls_kib", "idle TLS", "idle_tls", 500),
)
HEADS = 2_000
# Heads of 16 to 31 KB that are refused; measured in multiples of a plain 401.
HOSTILE = {
    "cookie": head("GET", "/x", "", f"Cookie: cognito_gateway{';' * 24_000}"),
    "digest": head("GET", "/x", "", f"Authorization: Digest {',' * 24_000}"),
    "path": head("GET", "/" + "%41" * 10_000),
    "accept": head("GET", "/x", "", f"Accept: {'a,' * 12_000}a"),
    "form": head("POST", "/oauth2/sign_in", "", "Content-Type: application/x-www-form-urlencoded")[:-2]
    + b"Content-Length: 30000\r\n\r\n"
    + b"a=%41&" * 5_000,
}
ASKED = 200
TARGETS = {"kept_head_kib": 12, "hello_kib": 40, "idle_tls_kib": 40}


class Attacks(Work):
    name = "attacks"
    title = "attacks"
    columns = (
        *(Column(key, f"longest wait beside {what}, ms") for key, what, _, _ in FLOODS),
        *(Column(key, f"{what}, KiB each") for key, what, _, _ in (*HELD, *HELD_TLS)),
        Column("head_connections", f"upstream connections for {HEADS:,} HEADs", 0),
        *(Column(f"{kind}_times", f"hostile {kind} ÷ plain 401, CPU") for kind in HOSTILE),
    )
    headline = None
    tall = True
    most_rounds = 1
    goals: ClassVar[tuple[Goal, ...]] = (
        *(Goal(f"longest wait beside {what}, ms", key, 50) for key, what, _, _ in FLOODS),
        *(Goal(f"{what}, KiB each", key, TARGETS.get(key, 96)) for key, what, _, _ in (*HELD, *HELD_TLS)),
        Goal("upstream connections for HEADs", "head_connections", 20),
        *(Goal(f"hostile {kind} ÷ plain 401", f"{kind}_times", 5) for kind in HOSTILE),
    )
    _port: int

    def unfit(self, contestant: Contestant) -> str | None:
        return None if contestant.name in {"gateway", "nginx", "haproxy"} else "not set up for upgrades here"

    def prepare(self, arena: Arena) -> None:
        self._port = stalling.start(arena.resources, arena.directory / "stalling", arena.load_cpus)

    def upstream_port(self, arena: Arena) -> int:
        return self._port

    def measure(self, arena: Arena, contestant: Contestant, number: int) -> Sample:
        sample: dict[str, float] = {}
        share = 4 if arena.options.quick else 1
        for key, _, kind, connections in FLOODS:
            restart(arena, contestant)
            sample[key] = self._longest_wait(arena, contestant, kind, connections)
        for key, _, kind, connections in HELD:
            restart(arena, contestant)
            sample[key] = self._held(arena, contestant, kind, connections // share)
        for key, _, kind, connections in HELD_TLS:
            with _speaking_tls(arena, contestant) as secure:
                sample[key] = self._held(arena, secure, kind, connections // share)
        restart(arena, contestant)
        sample["head_connections"] = self._heads(arena, contestant)
        if contestant.name == Gateway.name:
            sample |= self._hostile(contestant)
        return sample

    def _attack(self, arena: Arena, contestant: Contestant, kind: str, connections: int) -> Attack:
        seconds = arena.options.seconds
        return Attack(kind, contestant.setup.port, str(arena.one_token()), connections, seconds)

    def _longest_wait(self, arena: Arena, contestant: Contestant, kind: str, connections: int) -> float:
        """Return the slowest answer, in milliseconds, of a client that sends requests during the attack."""
        request = head("GET", "/x", arena.token)
        attack, longest = self._attack(arena, contestant, kind, connections), 0.0
        with connect(contestant.setup.port, 0, timeout=LONGEST_WAIT) as sock:
            ask(sock, request)
            with attacked(attack, arena.load_cpus) as attacker:
                while attacker.poll() is None:
                    begun = perf_counter()
                    try:
                        ask(sock, request)
                    except TimeoutError:
                        return LONGEST_WAIT * 1e3
                    longest = max(longest, perf_counter() - begun)
                    time.sleep(PAUSE)
        return longest * 1e3

    def _held(self, arena: Arena, contestant: Contestant, kind: str, connections: int) -> float:
        """Return the KiB held per connection."""
        # What the first connections of a kind load and allocate is not per connection.
        with attacked(self._attack(arena, contestant, kind, 2), arena.load_cpus):
            time.sleep(SETTLE_SECONDS / 4)
        before = procfs.memory(contestant.pid).resident
        with attacked(self._attack(arena, contestant, kind, connections), arena.load_cpus):
            time.sleep(SETTLE_SECONDS)
            return (procfs.memory(contestant.pid).resident - before) / connections / KIB

    def _heads(self, arena: Arena, contestant: Contestant) -> float:
        """Return the number of upstream connections made for HEAD requests."""
        request, before = head("HEAD", "/x", arena.token), self._accepted()
        with connect(contestant.setup.port, 0) as sock:
            for _ in range(HEADS):
                sock.sendall(request)
                data = b""
                while b"\r\n\r\n" not in data:
                    more = sock.recv(65536)
                    if not more:
                        raise BenchError("a HEAD was not answered")
                    data += more
        return self._accepted() - before - 1

    def _accepted(self) -> int:
        return int(fetch(self._port, stalling.ACCEPTED)[1])

    def _hostile(self, contestant: Contestant) -> dict[str, float]:
        plain = _cost(contestant, head("GET", "/x"), ASKED * 10)
        return {f"{kind}_times": _cost(contestant, data, ASKED) / plain for kind, data in HOSTILE.items()}


def _cost(contestant: Contestant, request: bytes, times: int) -> float:
    """Return nanoseconds of CPU per request; after a refusal that closes, on a new connection."""
    _ask_again(contestant, request, 10)
    before = procfs.cpu(contestant.pid)
    _ask_again(contestant, request, times)
    return procfs.spent_ns(before, procfs.cpu(contestant.pid)) / times


def _ask_again(contestant: Contestant, request: bytes, times: int) -> None:
    sock: socket.socket | None = None
    try:
        for _ in range(times):
            sock = sock or connect(contestant.setup.port, 0)
            answer = ask(sock, request)
            if b"\r\nConnection: close\r\n" in answer:
                sock.close()
                sock = None
    finally:
        if sock is not None:
            sock.close()


@contextlib.contextmanager
def _speaking_tls(arena: Arena, contestant: Contestant) -> Iterator[Contestant]:
    """Run the same contestant with a certificate."""
    setup = replace(
        contestant.setup,
        directory=contestant.setup.directory / "tls",
        port=free_port(),
        probe_port=free_port(),
        pem=write_self_signed(arena.directory / "self-signed.pem"),
    )
    secure = type(contestant)(setup)
    try:
        secure.start(arena.proxy_cpus)
        deadline = time.monotonic() + 30
        while not _listens(setup.port):
            if time.monotonic() > deadline:
                raise BenchError(f"{contestant.name} does not listen with TLS: {secure.last_words()}")
            time.sleep(0.05)
        yield secure
    finally:
        secure.stop()


def _listens(port: int) -> bool:
    try:
        connect(port, 0).close()
    except OSError:
        return False
    return True
