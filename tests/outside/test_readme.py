"""The README as a stranger reads it: every command in it is run here, `make demo` first of all."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from local_cognito import seed
from tests.support import local_cognito
from tests.support.demos import taking_turns
from tests.support.ports import free_port, is_free
from tests.support.programs import ROOT, SCRIPT, run, started
from tests.support.tokens import CLIENT_ID, POOL_ID
from tests.support.wire import Upstream

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
COMMANDS = [
    # Without a prompt sign: people copy them.
    line
    for language, block in BLOCKS
    if language == "sh"
    for line in block.splitlines()
]
# The documented ports of the demo; only the gateway's is never replaced.
PORTS = {"gateway": 8000, "metrics": 9090, "local Cognito": 9229, "sample API": 8080}

# The README's commands, and the tests below that run them.
COPY = "cp config/gateway.minimal.yaml config/gateway.yaml"
SETUP = ".venv/bin/cognito-gateway setup --pool-name orders --write config/gateway.yaml"
CHECK = ".venv/bin/cognito-gateway check-config config/gateway.yaml"
SERVE = ".venv/bin/cognito-gateway serve --config config/gateway.yaml"
TOKEN = "TOKEN=$(.venv/bin/cognito-gateway token --config config/gateway.yaml --username alice@example.com)"
CURL = 'curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:8000/'
# On a machine that has nothing yet.
BARE = "tests/deploy/test_bare_machine.py"
INSTALL = "apt-get install -y python3-venv make git curl"
CLONE = "git clone https://github.com/cognito-gateway/cognito-gateway.git"
RUN_BY = {
    INSTALL: BARE,
    CLONE: BARE,
    "cd cognito-gateway": BARE,
    "make demo": "test_make_demo",
    "make test": "test_make_test",
    COPY: "test_in_front_of_an_api_of_ones_own",
    SETUP: "test_the_aws_side",
    CHECK: "test_in_front_of_an_api_of_ones_own",
    SERVE: "test_in_front_of_an_api_of_ones_own",
    TOKEN: "test_in_front_of_an_api_of_ones_own",
    CURL: "test_in_front_of_an_api_of_ones_own",
}


def test_every_command_is_run_by_a_test() -> None:
    assert set(COMMANDS) == set(RUN_BY)
    assert set(RUN_BY.values()) - {BARE} <= set(globals())
    assert (ROOT / BARE).exists()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A working folder as `git clone` and `make test` leave it: the same files under the same names."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "requirements", "gateway", "tests"):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "config").mkdir()
    for path in (ROOT / "config").glob("gateway.*.*"):
        (folder / "config" / path.name).write_bytes(path.read_bytes())
    return folder


# make, told that this environment is installed already: other tests are running in it.
MAKE = ("make", "-o", ".venv/.run", "-o", ".venv/.test")


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def pasted(lines: list[str], home: Path) -> str:
    """Lines pasted one after the other into one shell that has no settings; what it printed."""
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    command = ["env", "-i", f"PATH={path}", f"HOME={home}", "bash"]
    done = run(*command, stdin="\n".join(lines) + "\n", cwd=home)
    assert done.stderr == ""
    return done.stdout


@contextlib.contextmanager
def gateway_port() -> Iterator[int]:
    """Port 8000, which no other test has then; another where something else keeps it."""
    with taking_turns():
        yield PORTS["gateway"] if is_free(PORTS["gateway"]) else free_port()


async def test_make_demo(checkout: Path, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    before = listing(checkout)

    environ = {"TMPDIR": str(temporary)}
    async with contextlib.AsyncExitStack() as stack:
        port = stack.enter_context(gateway_port())
        command = [*MAKE, "demo"] if port == PORTS["gateway"] else [*MAKE, "demo", f"ARGS=--port {port}"]
        program = await stack.enter_async_context(started(tmp_path, command, environ=environ, cwd=checkout))
        printed = await program.says("Ctrl-C stops everything.")
        lines = [line[2:] for line in printed.splitlines() if line.startswith("$ ")]
        # What is there comes first: the AWS CLI may be missing.
        ways = ["TOKEN=$(AWS_ACCESS_KEY_ID=local", "TOKEN=$(printf"]
        first, second = ways if shutil.which("aws") else reversed(ways)
        assert [line.split()[0] for line in lines] == [first, "curl", "curl", second]
        assert len({line for line in lines if f"http://127.0.0.1:{port}/api/v1/config" in line}) == 2
        # All in one shell: with the AWS CLI's token, without one, with a token of our own command.
        shown = await asyncio.to_thread(pasted, [*lines, lines[1]], tmp_path)
        parts = re.fullmatch(r"(\{.*?\}\n)(HTTP/1\.1 .*?\n\n\{.*?\}\n)(\{.*\}\n)", shown, re.DOTALL)
        assert parts, shown
        first, refused, second = parts.groups()
        for answer in (first, second):
            assert json.loads(answer)["service"] == "sample-api"
            assert json.loads(answer)["identity"]["groups"] == "admins,users"
        head, _, body = refused.partition("\n\n")
        assert head.startswith("HTTP/1.1 401 ")
        assert re.search(r"(?m)^WWW-Authenticate: Bearer realm=", head)
        assert re.search(r"(?m)^Content-Type: application/problem\+json$", head)
        assert json.loads(body)["status"] == 401

        ports = ports_of(printed)
        assert ports["gateway"] == port
        await second_demo(tmp_path, ports)

        program.interrupt()
        await program.end()
        assert program.process.returncode in {0, 2, -signal.SIGINT}, "make's own word for an interrupt"
        assert "Traceback" not in program.stdout + program.stderr
    assert [port for port in ports.values() if not is_free(port)] == []
    assert listing(checkout) == before
    assert listing(temporary) == []


def ports_of(printed: str) -> dict[str, int]:
    patterns = {name: rf"(?m)^{name} +http://127\.0\.0\.1:(\d+)" for name in PORTS}
    patterns["metrics"] = r"metrics and probes http://127\.0\.0\.1:(\d+)"
    found = {name: re.search(pattern, printed) for name, pattern in patterns.items()}
    return {name: int(match[1]) for name, match in found.items() if match}


async def second_demo(folder: Path, first: dict[str, int]) -> None:
    """While one runs: its port is not taken over, and with another port everything else moves."""
    done = await asyncio.to_thread(run, SCRIPT, "demo", cwd=folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert f"port {PORTS['gateway']}" in done.stderr
    port = free_port()
    async with started(folder, [SCRIPT, "demo", "--port", str(port)], name="second") as program:
        printed = await program.says("Ctrl-C stops everything.")
        ports = ports_of(printed)
        assert ports["gateway"] == port
        assert not set(ports.values()) & set(first.values())
        for name in ("local Cognito", "sample API"):
            line = next(line for line in printed.splitlines() if line.startswith(name))
            assert line.endswith(f"(port {PORTS[name]} is in use)")
        lines = [line[2:] for line in printed.splitlines() if line.startswith("$ ")]
        shown = await asyncio.to_thread(pasted, [lines[3], lines[1]], folder)
        assert json.loads(shown)["service"] == "sample-api"
        program.signal(signal.SIGINT)
        assert await program.end() == 0
    assert [port for port in ports.values() if not is_free(port)] == []


def test_make_test(checkout: Path) -> None:
    done = run(*MAKE, "test", "ARGS=-n 0 -q -p no:cacheprovider tests/policy/test_percent.py", cwd=checkout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"(?m)^\d+ passed", done.stdout)


async def test_in_front_of_an_api_of_ones_own(checkout: Path, tmp_path: Path) -> None:
    """Word for word but for the ports, which tests cannot have to themselves, and for Cognito's address."""
    minimal = yaml.safe_load((checkout / "config/gateway.minimal.yaml").read_text())
    pool = minimal["cognito"]["user_pools"][0]
    document = seed.read(seed.DEMO)
    document["UserPools"][0]["Id"] = pool["id"]
    user = document["UserPools"][0]["Users"][0]
    document["UserPools"][0]["Clients"][0]["ClientId"] = pool["client_ids"][0]
    port, metrics_port = free_port(), free_port()
    async with Upstream().running() as upstream:
        with local_cognito.running(document) as local:
            environ = {
                "COGNITO_GATEWAY_COGNITO__ENDPOINT_URL": local.url,
                "COGNITO_GATEWAY_LISTEN__ADDRESS": f"127.0.0.1:{port}",
                "COGNITO_GATEWAY_METRICS__ADDRESS": f"127.0.0.1:{metrics_port}",
                "COGNITO_GATEWAY_UPSTREAM__URL": upstream.url,
            }
            checked = run("bash", "-ec", f"{COPY}\n{CHECK}", cwd=checkout, environ=environ)
            assert (checked.returncode, checked.stderr) == (0, "")
            assert checked.stdout.startswith("config/gateway.yaml: valid")
            async with started(
                tmp_path, ["bash", "-c", f"exec {SERVE}"], environ=environ, cwd=checkout
            ) as program:
                await program.says('"key_set_loaded"')
                curl = CURL.replace(":8000/", f":{port}/").replace("curl ", "curl -s ")
                password = document["UserPools"][0]["Users"][0]["Password"]
                called = await asyncio.to_thread(
                    run,
                    "bash",
                    "-ec",
                    f"{TOKEN}\n{curl}",
                    cwd=checkout,
                    environ=environ,
                    stdin=password + "\n",
                )
                assert (called.returncode, called.stdout) == (0, "ok"), called.stderr
                program.signal(signal.SIGTERM)
                assert await program.end() == 0
        assert upstream.last.get("X-Auth-Request-Email") is None, "access tokens of Cognito have none"
        assert upstream.last.get("X-Auth-Request-User") == user["Sub"].encode()
        assert upstream.last.get("Authorization") is None


def test_the_aws_side(checkout: Path) -> None:
    """Word for word: where AWS is, the AWS SDK's own variables say."""
    with local_cognito.running() as local:
        environ = {
            "AWS_ENDPOINT_URL": local.url,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
        }
        done = run("bash", "-ec", f"{COPY}\n{SETUP}\n{CHECK}", cwd=checkout, environ=environ)
        assert done.returncode == 0, done.stderr
        assert "app client orders" in done.stderr
        assert done.stdout == "config/gateway.yaml: valid (user pools: 1, routes: 0)\n"
        (pool,) = local.state.pools.values()
        assert pool.id in (checkout / "config/gateway.yaml").read_text()


def test_yaml_blocks_fit_into_the_minimal_configuration(tmp_path: Path) -> None:
    blocks = [block for language, block in BLOCKS if language == "yaml"]
    assert blocks
    minimal = (ROOT / "config/gateway.minimal.yaml").read_text(encoding="utf-8")
    for number, block in enumerate(blocks):
        path = tmp_path / f"{number}.yaml"
        filled = minimal.replace("ap-south-1_AbCdEfGhI", POOL_ID).replace("1example23456789", CLIENT_ID)
        path.write_text(filled + block)
        done = run(SCRIPT, "check-config", path)
        assert (done.returncode, done.stderr) == (0, "")


def test_links_lead_somewhere() -> None:
    links = set(re.findall(r"\]\(([^)#]+)", README))
    assert links
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []


def test_make_help_names_what_the_readme_names() -> None:
    done = run("make", "help")
    assert done.returncode == 0
    targets = re.findall(r"(?m)^  make (\S+) +\S", done.stdout)
    named = set(re.findall(r"`make ([a-z-]+)`", README)) | {
        line.split()[1] for line in COMMANDS if line.startswith("make ")
    }
    assert named <= set(targets) | {"help"}


def test_the_demos_port_is_chosen_as_the_readme_says(checkout: Path) -> None:
    (flags,) = re.findall(r'`make demo ARGS="([^"]+)"`', README)
    done = run(*MAKE, "-n", "demo", f"ARGS={flags}", cwd=checkout)
    assert done.stdout == f".venv/bin/cognito-gateway demo {flags}\n"
    done = run(SCRIPT, "demo", *flags.split(), "--help")
    assert done.returncode == 0, done.stderr
