"""The sink: real pipes whose readers are slow, gone or many."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from gateway.observe.sink import ATOMIC_WRITE, Sink


class Pipe:
    def __init__(self) -> None:
        self.reader, self._writer = os.pipe()
        self.stream = cast(BinaryIO, FileIO(self._writer, "w", closefd=False))
        self.open = [self.reader, self._writer]

    @property
    def writer(self) -> int:
        return self._writer

    def close(self, descriptor: int) -> None:
        os.close(descriptor)
        self.open.remove(descriptor)

    def read_all(self) -> list[bytes]:
        """Everything until the writing end is closed."""
        received = b""
        while data := os.read(self.reader, 65536):
            received += data
        return received.splitlines()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    for descriptor in list(pipe.open):
        pipe.close(descriptor)


def close_and_read(sink: Sink, pipe: Pipe) -> list[bytes]:
    def close() -> None:
        sink.close(30)
        pipe.close(pipe.writer)

    closing = threading.Thread(target=close)
    closing.start()
    lines = pipe.read_all()
    closing.join()
    return lines


def dropped_line(lines: int) -> bytes:
    return b"dropped %d\n" % lines


def test_lines_arrive_in_order(pipe: Pipe) -> None:
    sink = Sink(pipe.stream, dropped_line)
    for number in range(1000):
        sink.put(b"%d\n" % number)
    sink.close(30)
    pipe.close(pipe.writer)
    assert pipe.read_all() == [b"%d" % number for number in range(1000)]
    assert sink.dropped == 0


def test_a_stalled_reader_blocks_nothing_and_is_told_the_number_of_lost_lines(pipe: Pipe) -> None:
    sink = Sink(pipe.stream, dropped_line)
    # Nobody reads: a line that waited for a reader would wait indefinitely.
    for number in range(10_000):
        sink.put(b"%0100d\n" % number)
    assert sink.dropped > 1000
    lines = close_and_read(sink, pipe)
    reports = [int(line.split()[1]) for line in lines if line.startswith(b"dropped")]
    assert sum(reports) == sink.dropped
    assert len(lines) - len(reports) + sink.dropped == 10_000


def test_closing_waits_for_a_stalled_reader_only_so_long(pipe: Pipe) -> None:
    sink = Sink(pipe.stream, dropped_line)
    for number in range(2000):
        sink.put(b"%0100d\n" % number)
    sink.close(0.1)  # it would wait indefinitely
    sink.put(b"late\n")
    assert sink.dropped == 1
    # The thread is seen off before the descriptors are: their numbers are the next test's.
    pipe.close(pipe.reader)
    sink.close(30)


def test_a_closed_reader_costs_lines_and_nothing_else(pipe: Pipe) -> None:
    pipe.close(pipe.reader)
    sink = Sink(pipe.stream, dropped_line)
    for _ in range(100):
        sink.put(b"x\n")
    sink.close(30)
    assert sink.dropped == 100


def test_a_closed_stream_costs_lines_and_nothing_else(pipe: Pipe) -> None:
    pipe.stream.close()
    sink = Sink(pipe.stream, dropped_line)
    sink.put(b"x\n")
    sink.close(30)
    assert sink.dropped == 1


def test_a_full_disk_is_reported_when_there_is_room_again() -> None:
    class Disk:
        full = True
        received = b""

        def write(self, data: bytes) -> int:
            if self.full:
                self.full = False
                raise OSError(28, "No space left on device")
            self.received += data
            return len(data)

    disk = Disk()
    sink = Sink(cast(BinaryIO, disk), dropped_line)
    sink.put(b"lost\n")
    sink.close(30)
    assert disk.received == b"dropped 1\n"


# A disk that fills in the middle of a line, and empties: here files may have so many bytes, and then more.
FILLING = """
import json, resource, sys, time
from io import FileIO
from gateway.observe.sink import Sink

def line(number):
    return json.dumps({"number": number, "text": "x" * 60}).encode() + b"\\n"

file = FileIO(sys.argv[1], "w")
sink = Sink(file, lambda lost: json.dumps({"lost": lost}).encode() + b"\\n")
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
for number in range(30):
    sink.put(line(number))
until = time.monotonic() + 30
while not sink.dropped and time.monotonic() < until:
    time.sleep(0.01)
sink.put(line(30))
while sink.dropped < 20 and time.monotonic() < until:
    time.sleep(0.01)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
sink.put(line(31))
sink.close(30)
"""


def test_a_disk_that_was_full_for_a_while_has_no_line_that_begins_within_another(tmp_path: Path) -> None:
    file = tmp_path / "log"
    subprocess.run([sys.executable, "-c", FILLING, file], check=True, timeout=120)
    lines = file.read_bytes().splitlines()
    torn, whole = [], []
    for line in lines:
        try:
            whole.append(json.loads(line))
        except ValueError:
            torn.append(line)
    # The one on which the disk became full, and no other.
    assert len(torn) <= 1
    numbers = [each["number"] for each in whole if "number" in each]
    assert numbers == sorted(numbers)
    assert numbers[-1] == 31
    # Each line is there, or counted as lost.
    assert sum(each["lost"] for each in whole if "lost" in each) == 32 - len(numbers)


def test_a_descriptor_that_is_non_blocking_gets_every_line(pipe: Pipe) -> None:
    os.set_blocking(pipe.writer, False)
    sink = Sink(pipe.stream, dropped_line)
    for number in range(3000):
        sink.put(b"%0100d\n" % number)
    assert [int(line) for line in close_and_read(sink, pipe)] == list(range(3000))


def test_lines_of_several_workers_on_one_pipe_never_mix(pipe: Pipe) -> None:
    sinks = {letter: Sink(pipe.stream, dropped_line) for letter in (b"a", b"b", b"c")}

    def work() -> None:
        for number in range(500):
            for letter, sink in sinks.items():
                sink.put(letter * (ATOMIC_WRITE - 1 - 7 * number) + b"\n")
        for sink in sinks.values():
            sink.close(30)
        pipe.close(pipe.writer)

    worker = threading.Thread(target=work)
    worker.start()
    lines = pipe.read_all()
    worker.join()
    assert len(lines) == 1500
    assert all(len(set(line)) == 1 for line in lines)
