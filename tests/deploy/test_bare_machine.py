"""README.md and docs/start.md on a bare Debian: a fresh clone, and every command as printed, in order.

AWS is a local Cognito, where the AWS SDK's own variables say; the IDs are those that `setup` wrote.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.bare_machine import HERE, bare_machine
from tests.support.container_engine import require_programs
from tests.support.debian import Machine
from tests.support.demos import taking_turns
from tests.support.page_commands import DOCS, commands_of
from tests.support.ports import is_free
from tests.support.programs import ROOT, Program, started

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400), pytest.mark.xdist_group("bare machine")]

# `make test` takes minutes: tests/outside/test_readme.py runs it, and by hand tests/support/bare_machine.py.
_, _, _, DEMO, _, COPY, SETUP, CHECK, SERVE, TOKEN, CURL = commands_of(ROOT / "README.md")
START = commands_of(DOCS / "start.md")
BIN = f"{HERE}/.venv/bin"
# README's and start.md's ports, and where the local Cognito is.
PORTS = (8000, 8080, 9090, 9229)
AWS = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9229",
    "AWS_REGION": "ap-south-1",
    "AWS_DEFAULT_REGION": "ap-south-1",
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
}
# The gateway reads where Cognito is from its configuration alone.
ELSEWHERE = {"COGNITO_GATEWAY_COGNITO__ENDPOINT_URL": AWS["AWS_ENDPOINT_URL"]}
# As the AWS CLI reads its arguments: lists, and structures as Name=…,Value=….
AWS_CLI = f"""#!{BIN}/python
import re, sys
import boto3
service, operation, *words = sys.argv[1:]
client = boto3.client(service)
name = "".join(map(str.capitalize, operation.split("-")))
shapes = client.meta.service_model.operation_model(name).input_shape.members
given = {{}}
for word in words:
    if word.startswith("--"):
        member = "".join(map(str.capitalize, word[2:].split("-")))
        values = given[member] = []
    else:
        values.append(dict(each.split("=", 1) for each in word.split(",")) if "=" in word else word)
for member in given:
    if shapes[member].type_name != "list":
        (given[member],) = given[member]
print(getattr(client, operation.replace("-", "_"))(**given))
"""


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    require_programs("mmdebstrap", "unshare", "git")
    if not (ROOT / ".git").exists():
        pytest.skip("this is no clone: there is nothing to clone")
    with bare_machine() as machine:
        assert (machine.root / HERE[1:] / "Makefile").exists()
        yield machine


@pytest.fixture(autouse=True)
def ports() -> Iterator[None]:
    """The pages' own ports: no other test has them meanwhile."""
    with taking_turns():
        if taken := [port for port in PORTS if not is_free(port)]:
            pytest.skip(f"ports {taken} are taken on this machine")
        yield


@contextlib.asynccontextmanager
async def running(
    machine: Machine, folder: Path, script: str, says: str, **environ: str
) -> AsyncIterator[tuple[Program, str]]:
    """A command that runs until it is stopped, once it has said so, and what it said."""
    name = re.sub(r"\W+", "-", script)
    async with started(folder, machine.command(script, cwd=HERE, **environ), name=name) as program:
        # The first one installs.
        printed = await program.says(says, seconds=600)
        yield program, printed


async def test_the_demo(machine: Machine, tmp_path: Path) -> None:
    """README's, which installs first, and the lines that it prints; then those of docs/start.md."""
    async with running(machine, tmp_path, DEMO, "Ctrl-C stops everything.") as (program, printed):
        token, curl, refused, *_ = (line[2:] for line in printed.splitlines() if line.startswith("$ "))
        shown = machine.run(f"{token}\n{curl}\n{refused}").stdout
        assert '"service": "sample-api"' in shown or '"service":"sample-api"' in shown
        assert " 401 " in shown
        shown = machine.run("\n".join(START[1:4]), PATH=f"{BIN}:{machine.environ['PATH']}").stdout
        assert " 401 " in shown
        assert "sample-api" in shown
        program.interrupt()
        await program.end()
        assert "Traceback" not in program.stdout + program.stderr
    assert [port for port in PORTS if not is_free(port)] == []


@pytest.fixture
async def aws(machine: Machine, tmp_path: Path) -> AsyncIterator[None]:
    """A Cognito without pools, an API, and an AWS CLI, which nobody has to install for this."""
    cli = machine.root / "usr/local/bin/aws"
    cli.write_text(AWS_CLI)
    cli.chmod(0o755)
    api = f"echo begun; exec {BIN}/python -m local_cognito.sample_api"
    async with (
        running(machine, tmp_path, f"exec {BIN}/local-cognito", "local Cognito: "),
        running(machine, tmp_path, api, "begun"),
    ):
        yield


async def test_an_api_of_ones_own(machine: Machine, aws: None, tmp_path: Path) -> None:
    """README's steps 1 and 2 with a pool that `setup` makes, then the same by docs/start.md."""
    checked = machine.run(f"{COPY}\n{SETUP}\n{CHECK}", cwd=HERE, **AWS)
    assert checked.stdout == "config/gateway.yaml: valid (user pools: 1, routes: 0)\n"
    file = machine.root / HERE[1:] / "config/gateway.yaml"
    (pool,) = re.findall(r"- id: (\S+)", file.read_text())
    (client,) = re.findall(r"client_ids: \[(\S+)\]", file.read_text())

    _, _, _, _, check, doctor, serve, create, token, curl = START
    machine.run(create.replace("ap-south-1_AbCdEfGhI", pool), **AWS)
    outbox = machine.run("curl -s http://127.0.0.1:9229/_outbox").stdout
    (first,) = re.findall(r"temporary password is (\S+)\.\"", outbox)
    settings = AWS | ELSEWHERE
    async with running(machine, tmp_path, f"exec {SERVE}", '"key_set_loaded"', **settings):
        # The first sign-in asks for another password.
        answers = f"{first}\nAnother-Wonderland-1\n"
        shown = machine.run(f"{TOKEN}\n{CURL}", cwd=HERE, stdin=answers, **settings).stdout
        assert json.loads(shown)["service"] == "sample-api"

    (block,) = re.findall(
        r"(?ms)^```yaml\n(cognito:.*?)^```$", (DOCS / "start.md").read_text(encoding="utf-8")
    )
    file.write_text(block.replace("ap-south-1_AbCdEfGhI", pool).replace("1example23456789", client))
    settings["PATH"] = f"{BIN}:{machine.environ['PATH']}"
    examined = machine.run(f"{check}\n{doctor}", cwd=HERE, **settings).stdout
    assert "0 broken" in examined
    async with running(machine, tmp_path, f"exec {serve}", '"key_set_loaded"', **settings):
        shown = machine.run(f"{token}\n{curl}", cwd=HERE, stdin="Another-Wonderland-1\n", **settings).stdout
        assert json.loads(shown)["service"] == "sample-api"
