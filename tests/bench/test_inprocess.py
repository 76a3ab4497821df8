"""The gateway's own code, driven without a kernel: it answers, and says what that took."""

import re
import subprocess
import sys


def test_every_line_is_a_measured_one() -> None:
    command = [sys.executable, "-m", "bench.inprocess", "--quick"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=250, check=True).stdout
    lines = re.findall(r"(?m)^(.+): ([0-9.]+) µs$", said)
    assert [what for what, _ in lines] == [
        "one warm token, 1 at once",
        "one warm token, 32 at once",
        "one warm token, 1000 at once",
        "every token new, 32 at once",
        "one warm token from a trusted proxy, 32 at once",
        "a decision about it for that proxy, 32 at once",
    ]
    times = [float(each) for _, each in lines]
    # A new token costs a signature on top, 14 µs on the fastest CPU of these years.
    assert all(times)
    assert times[3] > times[1] + 10
