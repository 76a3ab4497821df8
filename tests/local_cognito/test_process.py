"""`local-cognito` as users start it: a process of its own."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local_cognito import seed
from tests.support import local_cognito


@contextmanager
def started(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and the URL it printed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "local_cognito", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": ""},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        line = process.stdout.readline()
        match = re.fullmatch(r"local Cognito: (http://\S+)\n", line)
        assert match is not None, line
        yield process, match[1]
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(60)
        process.stdout.close()
        process.stderr.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_boto3_signs_in_and_a_signal_ends_it(number: signal.Signals) -> None:
    with started("--listen", "127.0.0.1:0", "--demo") as (process, url):
        boto = local_cognito.client(url)
        result = boto.initiate_auth(
            ClientId="1demo2client3local4cognito",
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": "alice@example.com", "PASSWORD": "Wonderland-2024"},
        )["AuthenticationResult"]
        assert boto.get_user(AccessToken=result["AccessToken"])["UserAttributes"]
        process.send_signal(number)
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_it_listens_soon() -> None:
    """The bar is 1 s where nothing else runs. What it computes does not depend on that, but on the CPU."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with started("--listen", "127.0.0.1:0", "--seed", str(seed.DEMO)):
        pass
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 4


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--listen", "0.0.0.0:0"], "loopback"),
        (["--listen", "127.0.0.1:0", "--seed", "/nonexistent/seed.yaml"], "cannot be read"),
    ],
)
@pytest.mark.parametrize("program", [["local_cognito"], ["gateway", "local-cognito"]], ids=" ".join)
def test_mistakes_are_one_sentence(program: list[str], arguments: list[str], what: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *program, *arguments],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert what in done.stderr


def test_a_refused_seed_is_named_and_nothing_listens(tmp_path: Path) -> None:
    path = tmp_path / "seed.yaml"
    path.write_text("UserPools: [{Id: us-east-1_Abc, PoolName: p, Users: [{Username: u, Password: weak}]}]")
    done = subprocess.run(
        [sys.executable, "-m", "local_cognito", "--listen", "127.0.0.1:0", "--seed", str(path)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "UserPools.1.Users.1" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["demo", "local-cognito"])
def test_the_gateway_prints_how_to_install_it(command: str) -> None:
    """In an interpreter that does not find the package; tests/deploy/test_dist.py runs what it says."""
    hidden = "import sys; sys.modules['local_cognito'] = None"
    program = f"{hidden}; from gateway.cli import main; sys.exit(main([{command!r}]))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"cognito-gateway: {command}: local-cognito is not installed: in a checkout of cognito-gateway run "
        f"{sys.executable} -m pip install ./local_cognito\n"
    )
