"""What works once: by whichever thread or process."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from gateway.pages import once as room
from gateway.pages.once import Once


def test_of_many_threads_one_gets_it() -> None:
    once = Once.make()
    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(once.claim, [0] * 64)) == 1
    assert once.number == 1
    assert not once.claim(0)
    assert not once.claim(2)
    assert once.claim(1)


def test_of_many_processes_one_gets_it() -> None:
    once = Once.make()
    program = (
        "import sys; from gateway.pages.once import Once; once = Once(int(sys.argv[1]));"
        "sys.stdin.read(); sys.stdout.write(str(once.claim(0))); once.use('abc')"
    )
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(once.fileno())],
            pass_fds=[once.fileno()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for worker in workers:  # all of them wait for this
        assert worker.stdin is not None
    said = [worker.communicate("")[0] for worker in workers]
    assert sorted(said) == ["False", "False", "False", "True"]
    assert once.number == 1
    assert once.used("abc")


def test_names_are_bounded() -> None:
    once = Once.make()
    for number in range(room.MOST + 1):
        once.use(str(number))
    assert not once.used("0")
    assert once.used("1")
    assert once.used(str(room.MOST))
    assert not once.used("never")
    assert repr(once) == "<Once 0>"
