"""The image, in a real engine: what is in it, who it runs as, how it starts and stops."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.container_engine import IMAGE, ROOT, Engine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400), pytest.mark.xdist_group("engine")]

HARDENED = (
    "--read-only",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--memory=128m",
    "--network=none",
)
CONFIG = ("-v", f"{ROOT / 'config/gateway.minimal.yaml'}:/etc/cognito-gateway/gateway.yaml:ro")


@pytest.fixture
def gateway(engine: Engine) -> Iterator[str]:
    """A running container, as hardened as one can be."""
    name = "gateway-under-test"
    engine.docker("run", "-d", "--name", name, *HARDENED, *CONFIG, IMAGE)
    yield name
    engine.docker("rm", "-f", name)


def inside(engine: Engine, *words: str, check: bool = True) -> str:
    """What a command prints in a fresh container of the image."""
    return engine.docker(
        "run", "--rm", *HARDENED, "--entrypoint", words[0], IMAGE, *words[1:], check=check
    ).strip()


def started(engine: Engine, name: str) -> bool:
    return '"event":"started"' in engine.docker("logs", name)


def test_it_starts_within_a_second_and_stops_with_0(engine: Engine, gateway: str) -> None:
    begun = time.monotonic()
    while not started(engine, gateway):
        assert time.monotonic() < begun + 120, engine.docker("logs", gateway)
        time.sleep(0.02)
    lines = [json.loads(line) for line in engine.docker("logs", gateway).splitlines()]
    print(f"from `docker run` to serving: at most {time.monotonic() - begun:.2f} s behind the start of it")
    assert lines[-1]["event"] in {"started", "session_secret_generated", "key_set_fetch_failed"}
    engine.docker("stop", "-t", "20", gateway)
    state = engine.inspect(gateway)["State"]
    assert isinstance(state, dict)
    assert (state["ExitCode"], state["OOMKilled"]) == (0, False)
    assert '"event":"stopped"' in engine.docker("logs", gateway)


def test_it_says_itself_that_it_is_healthy(engine: Engine, gateway: str) -> None:
    until = time.monotonic() + 120
    while True:
        state = engine.inspect(gateway)["State"]
        assert isinstance(state, dict)
        if state["Health"]["Status"] == "healthy":
            break
        assert time.monotonic() < until, state["Health"]
        time.sleep(0.5)


def test_variables_alone_configure_it(engine: Engine) -> None:
    name = "gateway-by-variables"
    variables = {
        "COGNITO_GATEWAY_COGNITO__USER_POOLS__0__ID": "ap-south-1_TestPool1",
        "COGNITO_GATEWAY_COGNITO__USER_POOLS__0__CLIENT_IDS__0": "1testing23456789",
        "COGNITO_GATEWAY_ROUTES": "[{path: /status, auth: none}]",
    }
    flags = [word for item in variables.items() for word in ("-e", "=".join(item))]
    engine.docker("run", "-d", "--name", name, *HARDENED, *flags, IMAGE)
    try:
        until = time.monotonic() + 120
        while not started(engine, name):
            assert time.monotonic() < until, engine.docker("logs", name)
            time.sleep(0.02)
        ask = "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8000); c.request('GET', '{}'); "
        for path, status in (("/", "401"), ("/status", "502")):
            code = ask.format(path) + "print(c.getresponse().status)"
            assert engine.docker("exec", name, "python", "-c", code).strip() == status
    finally:
        engine.docker("rm", "-f", name)


def test_it_is_nobody_s_and_holds_no_pip_and_no_compiler(engine: Engine) -> None:
    assert inside(engine, "id", "-u") == "65532"
    for module in ("pip", "ensurepip", "setuptools", "local_cognito"):
        found = f"import importlib.util as u; print(u.find_spec('{module}'))"
        for python in ("python", "/usr/bin/python3"):
            assert inside(engine, python, "-c", found) == "None", (python, module)
    for program in ("pip", "gcc", "cc", "make"):
        assert inside(engine, "sh", "-c", f"command -v {program} || echo none") == "none"
    assert inside(engine, "sh", "-c", "touch /x || echo refused") == "refused"


def test_a_volume_for_the_set_up_page_belongs_to_its_user(engine: Engine) -> None:
    """And to nobody else, although the file system is read-only."""
    volume, state = "gateway-state-under-test", "/var/lib/cognito-gateway"
    script = f"touch {state}/connection.yaml && stat -c '%u:%g %a' {state}"
    words = ("run", "--rm", *HARDENED, "-v", f"{volume}:{state}", "--entrypoint", "sh", IMAGE, "-c", script)
    try:
        assert engine.docker(*words).strip() == "65532:65532 700"
    finally:
        engine.docker("volume", "rm", "-f", volume)


def test_the_image_has_all_extras_installed(engine: Engine) -> None:
    assert inside(engine, "cognito-gateway", "version").startswith("cognito-gateway ")
    # Extras cannot be installed into an image without pip: they are in it.
    extras = "import redis, grpc, gateway.envoy.listener, uvloop, jinja2, segno"
    assert inside(engine, "python", "-c", extras) == ""
    assert inside(engine, "python", "-c", "import gateway.gate.tracer") == ""
    checked = engine.docker(
        "run", "--rm", *HARDENED, *CONFIG, IMAGE, "check-config", "/etc/cognito-gateway/gateway.yaml"
    )
    assert "valid (user pools: 1" in checked


def test_the_image_states_its_user_entrypoint_and_labels(engine: Engine) -> None:
    config = engine.inspect(IMAGE)["Config"]
    assert isinstance(config, dict)
    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == ["cognito-gateway"]
    assert config["Labels"]["org.opencontainers.image.title"] == "cognito-gateway"
    assert config["StopSignal"] == "SIGTERM"


def test_its_own_layers_are_small(engine: Engine) -> None:
    """What we add to the base image; stated in docs/image.md."""
    sizes = engine.docker(
        "history", "--human=false", "--format", "{{.Size}}\t{{.CreatedBy}}", IMAGE
    ).splitlines()
    ours = sum(int(line.split("\t")[0]) for line in sizes[:-1])
    print(f"{ours / 2**20:.0f} MiB on top of the base image")
    assert ours < 160 * 2**20


def test_only_what_is_needed_is_sent_to_the_build(engine: Engine) -> None:
    kept = set((ROOT / ".dockerignore").read_text().split())
    assert "*" in kept
    assert inside(engine, "sh", "-c", "ls /opt/cognito-gateway/lib/python3*/site-packages/gateway/py.typed")
    assert Path(ROOT / "Dockerfile").exists()
