"""`make dist` from a checkout, and the wheels installed where no source tree is: they have all they need."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.version import VERSION
from local_cognito.version import VERSION as EMULATOR_VERSION
from tests.support.demos import taking_turns
from tests.support.engines import engine
from tests.support.page_commands import commands_of
from tests.support.ports import free_port
from tests.support.programs import DEMO_PASSWORD, DEMO_USER, environment, run, started
from tests.support.wire import get, once

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

NAME = f"cognito_gateway-{VERSION}"
EMULATOR = f"local_cognito-{EMULATOR_VERSION}"
SOURCE = ("CHANGELOG.md", "MANIFEST.in", "Makefile", "README.md", "pyproject.toml", "requirements", "config")
# What pip and setuptools leave in a checkout.
NOT_SOURCE = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")
# In a venv of its own nothing of the test's environment may be found.
OWN = {"PYTHONPATH": "", "PYTHONHOME": "", "VIRTUAL_ENV": ""}


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make dist` makes, of a copy: a build writes into its tree."""
    tree = tmp_path_factory.mktemp("tree")
    for name in (*SOURCE, "gateway", "docs", "local_cognito"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, ignore=NOT_SOURCE)
        else:
            shutil.copy(ROOT / name, tree)
    (tree / ".venv").symlink_to(sys.prefix)
    made = subprocess.run(
        ["make", "-o", ".venv/.run", "-o", ".venv/.test", "dist"],
        cwd=tree,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return tree / "dist"


@pytest.fixture(scope="module")
def installed(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The `bin` of a fresh environment with the wheel and its locked dependencies, without the extras."""
    venv = tmp_path_factory.mktemp("installed") / "venv"
    python = venv / "bin/python"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "--python", python, "install")
    lock = ROOT / "requirements/run.txt"
    for command in (
        (sys.executable, "-m", "venv", "--without-pip", venv),
        (*pip, "--require-hashes", "-r", lock),
        (*pip, "--no-deps", "--no-index", dist / f"{NAME}-py3-none-any.whl"),
    ):
        subprocess.run(command, env=environment(), check=True, timeout=900)
    yield venv / "bin"
    shutil.rmtree(venv)


@pytest.fixture(scope="module")
def emulator(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder that the emulator's wheel and its locked dependencies are installed in, for PYTHONPATH."""
    folder = tmp_path_factory.mktemp("emulator")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "install", "--target", folder)
    for command in (
        (*pip, "--require-hashes", "-r", ROOT / "requirements/local_cognito.txt"),
        (*pip, "--no-deps", "--no-index", dist / f"{EMULATOR}-py3-none-any.whl"),
    ):
        subprocess.run(command, env=environment(), check=True, timeout=900)
    return str(folder)


@pytest.mark.parametrize(
    ("name", "source"), [(NAME, "gateway"), (EMULATOR, "local_cognito/src/local_cognito")]
)
def test_a_wheel_holds_its_package_and_nothing_else(dist: Path, name: str, source: str) -> None:
    """So the gateway's holds no emulator."""
    path = dist / f"{name}-py3-none-any.whl"
    with zipfile.ZipFile(path) as wheel:
        names = {each for each in wheel.namelist() if not each.startswith(f"{name}.dist-info/")}
    top = (ROOT / source).parent
    package = {each.relative_to(top) for each in (ROOT / source).rglob("*") if each.is_file()}
    assert names == {str(each) for each in package if "__pycache__" not in each.parts}
    print(f"{path.name}: {path.stat().st_size / 1024:.0f} KiB, {len(names)} files")


def test_the_sdist_can_be_built_again(dist: Path) -> None:
    with tarfile.open(dist / f"{NAME}.tar.gz") as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"pyproject.toml", "CHANGELOG.md", "requirements/build.txt", "gateway/version.py"} <= names
    assert {"docs/logs.md", "config/gateway.example.yaml", "local_cognito/pyproject.toml"} <= names
    assert [name for name in names if name.startswith("tests")] == []


def test_the_sbom_lists_what_is_installed(dist: Path) -> None:
    bom = json.loads((dist / f"cognito-gateway-{VERSION}.cdx.json").read_text())
    assert bom["bomFormat"] == "CycloneDX"
    root = bom["metadata"]["component"]
    assert (root["name"], root["version"]) == ("cognito-gateway", VERSION)
    found = {re.sub("[-_.]+", "-", each["name"]).lower(): each["version"] for each in bom["components"]}
    locked = dict(re.findall(r"(?m)^([\w.-]+)==([^ ]+)", (ROOT / "requirements/image.txt").read_text()))
    assert found.items() <= locked.items()
    # What is only locked for other interpreters is not installed here.
    assert {"aiohttp", "pyjwt", "cryptography", "grpcio", "redis", "opentelemetry-sdk"} <= found.keys()
    (of_root,) = [each for each in bom["dependencies"] if each["ref"] == root["bom-ref"]]
    assert any(ref.startswith("aiohttp==") for ref in of_root["dependsOn"])
    text = json.dumps(bom)
    assert str(dist.parents[1]) not in text
    assert str(ROOT) not in text


def test_the_commands_work_without_a_source_tree(installed: Path, tmp_path: Path) -> None:
    where = run(
        installed / "python", "-c", "import gateway; print(gateway.__file__)", cwd=tmp_path, environ=OWN
    )
    assert Path(where.stdout.strip()).is_relative_to(installed.parent), where.stderr
    script = installed / "cognito-gateway"
    shutil.copy(ROOT / "config/gateway.minimal.yaml", tmp_path)
    for arguments, said in (
        (["version"], f"cognito-gateway {VERSION}\n"),
        (["config-schema"], (ROOT / "config/gateway.schema.json").read_text()),
        (["check-config", "gateway.minimal.yaml"], "gateway.minimal.yaml: valid"),
    ):
        for command in ([script], [installed / "python", "-m", "gateway"]):
            done = run(*command, *arguments, cwd=tmp_path, environ=OWN)
            assert done.returncode == 0, done.stderr
            # The file has the IDs of the example, and only that is to be said about it.
            assert all("is the example's ID" in line for line in done.stderr.splitlines())
            assert done.stdout.startswith(said)


def test_pipx_installs_the_wheel_as_the_page_says(dist: Path, tmp_path: Path) -> None:
    """The dependencies come from the index that pip is configured with."""
    pipx = engine("pipx")
    (command,) = [each for each in commands_of(ROOT / "docs/install.md") if each.startswith("pipx ")]
    own = {**OWN, "PIPX_HOME": str(tmp_path / "home"), "PIPX_BIN_DIR": str(tmp_path / "bin")}
    done = subprocess.run(
        (pipx, *shlex.split(command)[1:]),
        cwd=dist.parent,
        env={**environment(), **own},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "cognito-gateway" in done.stdout
    script = tmp_path / "bin/cognito-gateway"
    for words, said in (
        (["version"], f"cognito-gateway {VERSION}\n"),
        (
            ["check-config", ROOT / "config/gateway.minimal.yaml"],
            f"{ROOT}/config/gateway.minimal.yaml: valid",
        ),
    ):
        ran = run(script, *words, cwd=tmp_path, environ=OWN)
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout.startswith(said)


def test_without_the_emulator_a_sentence_says_how_to_install_it(installed: Path, tmp_path: Path) -> None:
    """And what it says, typed in a checkout, installs it."""
    venv, checkout = tmp_path / "venv", tmp_path / "checkout"
    subprocess.run((sys.executable, "-m", "venv", venv), env=environment(), check=True, timeout=300)
    (site,) = (venv / "lib").glob("python3.*/site-packages")
    (beside,) = (installed.parent / "lib").glob("python3.*/site-packages")
    (site / "gateway.pth").write_text(f"{beside}\n")
    shutil.copytree(ROOT / "local_cognito", checkout / "local_cognito", ignore=NOT_SOURCE)
    python = venv / "bin/python"
    for command in ("demo", "local-cognito"):
        done = run(python, "-m", "gateway", command, cwd=checkout, environ=OWN)
        assert (done.returncode, done.stdout) == (1, "")
        (sentence,) = done.stderr.splitlines()
        _, _, told = sentence.partition(" run ")
        assert told == f"{python} -m pip install ./local_cognito", sentence
    installing = run(*told.split(), "--disable-pip-version-check", cwd=checkout, environ=OWN)
    assert installing.returncode == 0, installing.stderr
    for program in ([venv / "bin/local-cognito"], [python, "-m", "gateway", "local-cognito"]):
        done = run(*program, "--listen", "192.0.2.1:0", cwd=tmp_path, environ=OWN)
        assert "it serves loopback addresses only" in done.stderr


async def test_the_demo_runs_without_a_source_tree(installed: Path, emulator: str, tmp_path: Path) -> None:
    port = free_port()
    command: list[str | Path] = [installed / "cognito-gateway", "demo", "--port", str(port)]
    with taking_turns():
        async with started(tmp_path, command, environ={**OWN, "PYTHONPATH": emulator}) as program:
            printed = await program.says("Ctrl-C stops everything.")
            page = await once(port, get("/oauth2/sign_in", "Accept: text/html"))
            assert page.status == 200
            files = re.findall(rb'(?:href|src)="(/oauth2/[^"]+\.(?:css|js|svg))', page.body)
            assert {file.rpartition(b".")[2] for file in files} == {b"css", b"js", b"svg"}
            for file in files:
                assert (await once(port, get(file.decode()))).status == 200

            (cognito,) = re.findall(r"(?m)^local Cognito +(http://\S+?)(?:/| |$)", printed)
            pool, client = re.findall(r"us-east-1_LocalDemo|1demo2client3local4cognito", printed)[:2]
            flags = ["--endpoint-url", cognito, "--user-pool-id", "us-east-1_LocalDemo"]
            flags += ["--client-id", "1demo2client3local4cognito", "--username", DEMO_USER]
            assert {pool, client} <= set(flags)
            token = run(
                installed / "cognito-gateway",
                "token",
                *flags,
                cwd=tmp_path,
                environ=OWN,
                stdin=DEMO_PASSWORD + "\n",
            )
            assert token.returncode == 0, token.stderr
            called = await once(port, get("/api/v1/config", f"Authorization: Bearer {token.stdout.strip()}"))
            assert called.status == 200
            assert (await once(port, get("/api/v1/config"))).status == 401
            program.interrupt()
            assert await program.end() == 0
            assert program.stderr == ""


def test_an_extra_that_is_missing_is_named(installed: Path, tmp_path: Path) -> None:
    for name, yaml in (
        ("opentelemetry-sdk", "tracing: {otlp_endpoint: 'http://127.0.0.1:4318'}\n"),
        ("grpcio", "ext_authz: {grpc_address: '127.0.0.1:0'}\n"),
    ):
        path = tmp_path / f"{name}.yaml"
        path.write_text(f"listen: {{address: '127.0.0.1:0'}}\nmetrics: {{address: '127.0.0.1:0'}}\n{yaml}")
        done = run(installed / "cognito-gateway", "serve", "--config", path, cwd=tmp_path, environ=OWN)
        assert done.returncode == 1
        assert f" -m pip install '{name}>=" in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_the_outside_tests_pass_against_the_wheel(installed: Path, emulator: str, tmp_path: Path) -> None:
    """With what tests need from the environment that runs them, behind what is installed; our package is not
    found there: it is an editable one, whose path a .pth file adds, and those count in site-packages only."""
    (site,) = (installed.parent / "lib").glob("python3.*/site-packages")
    (site / "for-tests.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    for name in ("tests", "bench", "config", "pyproject.toml"):
        (tmp_path / name).symlink_to(ROOT / name)
    parts = ("main_job", "commands", "refusals", "endpoints", "metrics_and_logs")
    suite = [f"tests/outside/test_{part}.py" for part in parts]
    paths = os.pathsep.join((str(tmp_path), emulator))
    try:
        command: list[str | Path] = [installed / "python", "-P", "-m", "pytest", "-q", "-n", "2"]
        done = subprocess.run(
            [*command, "-p", "no:cacheprovider", "--rootdir", tmp_path, *suite],
            cwd=tmp_path,
            env={**environment(), **OWN, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=1200,
            check=False,
        )
    finally:
        (site / "for-tests.pth").unlink()
    assert done.returncode == 0, done.stdout + done.stderr
    assert not os.path.lexists(tmp_path / "gateway")
