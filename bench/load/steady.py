"""A load generator with exact timing: for latency from a schedule, and for many connections in turn.

`python -m bench.load.steady PLAN` runs one LoadPlan with a rate or a window (JSON): it prints OPEN once its
connections are open, and one SteadyResult (JSON) before it closes them. One epoll loop over plain sockets; it
sleeps in select(2), whose timeout has a resolution of microseconds where epoll_wait's has milliseconds.

Invariant: latency counts from the scheduled time, whatever delayed the request; delays of the generator
itself are counted separately, so that a spoiled run is recognised.
"""

from __future__ import annotations

import gc
import json
import select
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

from bench.load.lines import answer_size, connect, raise_file_limit, render
from bench.load.plan import LoadPlan
from bench.processes import BenchError, on_cpus

# A request sent later than this after its scheduled time is late by the generator's own fault.
LATE_SECONDS = 0.001
# Seconds for the last answers, which may take as long as a peer's upstream timeout.
LAST_ANSWERS = 10.0
# Seconds beyond a plan's end: to open 10,000 connections, and for the last answers.
GRACE = 60.0
OPEN = "open"


@dataclass(frozen=True, slots=True)
class SteadyResult:
    """The result. `late`: requests sent over LATE_SECONDS after their time; `latencies_us`: one per
    answer."""

    requests: int
    failed: int
    late: int
    seconds: float
    latencies_us: list[int]

    @property
    def late_share(self) -> float:
        return self.late / self.requests if self.requests else 0.0


class _Line:
    """One keep-alive connection with at most one request in flight."""

    __slots__ = ("data", "since", "sock")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.data = b""
        self.since = 0.0


class Steady:
    """Runs one plan: at its rate, or with `window` requests in flight; connections take turns."""

    def __init__(self, plan: LoadPlan) -> None:
        lines = Path(plan.tokens).read_text().split()
        if not lines:
            raise ValueError(f"no tokens in {plan.tokens}")
        self._plan = plan
        self._request = render(plan, lines[0])
        # First, so that its descriptor is below select(2)'s limit of 1024.
        self._epoll = select.epoll()
        self._lines: dict[int, _Line] = {}
        self._idle: deque[_Line] = deque()
        self._due: deque[float] = deque()
        self._latencies: list[int] = []
        self._failed = self._late = self._under_way = 0

    def open(self) -> None:
        """Open the connections. Raises OSError."""
        raise_file_limit()
        for index in range(self._plan.connections):
            self._open(index)

    def run(self) -> SteadyResult:
        """Run the plan, after `open`. Raises ValueError for answers without a length."""
        start = perf_counter()
        if self._plan.rate is None:
            self._keep_window(start)
        else:
            self._keep_rate(start, self._plan.rate)
        end = perf_counter() + LAST_ANSWERS
        while (self._under_way or self._due) and self._lines and perf_counter() < end:
            self._wait(end - perf_counter())
            self._send_due()
        seconds = perf_counter() - start
        self._failed += self._under_way + len(self._due)
        return SteadyResult(len(self._latencies), self._failed, self._late, seconds, self._latencies)

    def close(self) -> None:
        for line in self._lines.values():
            line.sock.close()
        self._epoll.close()

    def _open(self, index: int) -> None:
        sock = connect(self._plan.port, index)
        sock.setblocking(False)
        line = self._lines[sock.fileno()] = _Line(sock)
        self._epoll.register(sock.fileno(), select.EPOLLIN)
        self._idle.append(line)

    def _keep_rate(self, start: float, rate: float) -> None:
        for number in range(int(self._plan.seconds * rate)):
            due = start + number / rate
            while (delay := due - perf_counter()) > 0:
                self._wait(delay)
                self._send_due()
            self._late += -delay > LATE_SECONDS
            self._due.append(due)
            self._send_due()
            if -delay > LATE_SECONDS:
                self._wait(0)

    def _keep_window(self, start: float) -> None:
        end = start + self._plan.seconds
        while (now := perf_counter()) < end and self._lines:
            while self._idle and self._under_way < self._plan.window:
                self._send(self._idle.popleft(), perf_counter())
            self._wait(end - now)

    def _send_due(self) -> None:
        while self._due and self._idle:
            self._send(self._idle.popleft(), self._due.popleft())

    def _send(self, line: _Line, since: float) -> None:
        line.since = since
        try:
            # A kilobyte on an idle connection: the kernel accepts all of it, or the connection is dead.
            line.sock.send(self._request)
        except OSError:
            self._failed += 1
            self._drop(line)
            return
        self._under_way += 1

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            select.select([self._epoll], [], [], seconds)
        for descriptor, _ in self._epoll.poll(0):
            line = self._lines.get(descriptor)
            if line is not None:
                self._read(line)

    def _read(self, line: _Line) -> None:
        try:
            data = line.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            if line.since:
                self._under_way -= 1
                self._failed += 1
            self._drop(line)
            return
        line.data = line.data + data if line.data else data
        size = answer_size(line.data)
        if size is None or len(line.data) < size:
            return
        self._latencies.append(round((perf_counter() - line.since) * 1e6))
        self._failed += not line.data.startswith(b"HTTP/1.1 200 ")
        self._under_way -= 1
        line.data, line.since = b"", 0.0
        self._idle.append(line)

    def _drop(self, line: _Line) -> None:
        self._lines.pop(line.sock.fileno(), None)
        if line in self._idle:
            self._idle.remove(line)
        line.sock.close()


def steady(
    plan: LoadPlan,
    cpus: frozenset[int],
    *,
    opened: Callable[[], None] = lambda: None,
    done: Callable[[], None] = lambda: None,
) -> SteadyResult:
    """Run a plan in a separate process; `opened` and `done` are called before the first request and after the
    last answer, while the connections are open. Raises BenchError for any failed request."""
    command = [sys.executable, "-m", "bench.load.steady", plan.to_json()]
    with on_cpus(cpus):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    # If anything hangs, it is the generator, which is then killed; the reads below end with it.
    watchdog = threading.Timer(plan.seconds + GRACE, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        if process.stdout.readline().strip() == OPEN:
            opened()
        said = process.stdout.readline()
        done()
        _, errors = process.communicate()
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
    if process.returncode != 0 or not said:
        raise BenchError(f"the load generator failed: {errors.strip()[-400:]}")
    result = SteadyResult(**json.loads(said))
    if result.failed or not result.requests:
        raise BenchError(f"{result.failed} of {result.requests} requests failed")
    return result


def main(plan: LoadPlan) -> None:
    # Nothing here creates cycles, and a collection would be a pause in the schedule.
    gc.disable()
    generator = Steady(plan)
    generator.open()
    print(OPEN, flush=True)
    print(json.dumps(asdict(generator.run())), flush=True)
    generator.close()


if __name__ == "__main__":
    main(LoadPlan(**json.loads(sys.argv[1])))
