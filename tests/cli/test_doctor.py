"""`doctor` from outside, against a local Cognito and upstreams that are there or not."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import local_cognito
from tests.support.ports import free_port
from tests.support.script import run
from tests.support.tokens import KeyPair, key_set_document


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with local_cognito.running() as local:
        yield local.url


@pytest.fixture(scope="module")
def pool(url: str) -> dict[str, str]:
    made = run("setup", "--json", "--region", "us-east-1", "--endpoint-url", url)
    assert made.returncode == 0, made.stderr
    answer: dict[str, str] = json.loads(made.stdout)
    return answer


def configuration(place: Path, url: str, pool_id: str, client_id: str, upstream: str) -> Path:
    path = place / "g.yaml"
    path.write_text(
        f"upstream:\n  url: {upstream}\ncognito:\n  endpoint_url: {url}\n  user_pools:\n"
        f"    - id: {pool_id}\n      client_ids: [{client_id}]\n"
    )
    return path


def doctor(path: Path) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    done = run("doctor", "--json", "--config", path)
    assert done.stderr == ""
    by_level: dict[str, list[dict[str, Any]]] = {"good": [], "warning": [], "broken": [], "unknown": []}
    for finding in json.loads(done.stdout)["findings"]:
        by_level[finding["level"]].append(finding)
    return done.returncode, by_level


def test_all_is_well(url: str, pool: dict[str, str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as upstream:
        at = f"http://127.0.0.1:{upstream.getsockname()[1]}"
        path = configuration(tmp_path, url, pool["user_pool_id"], pool["client_id"], at)
        code, found = doctor(path)
        text = run("doctor", "--config", path)
    assert (code, found["broken"]) == (0, [])
    # The local Cognito's pools have no second factor; a machine may have no address but loopback.
    assert [each["what"] for each in found["warning"]] == ["nobody is asked for a second factor"]
    assert (text.returncode, text.stderr) == (0, "")
    assert "✓ clock agrees with Cognito's" in text.stdout
    assert "0 broken, 1 warnings" in text.stdout.splitlines()[-1]


def test_what_is_broken_is_said_and_is_1(url: str, pool: dict[str, str], tmp_path: Path) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    path = configuration(tmp_path, url, pool["user_pool_id"], "1nobody", nobody)
    code, found = doctor(path)
    assert code == 1
    assert [each["what"] for each in found["broken"]] == [
        "does not exist here",
        "cannot be reached: connection refused",
    ]


def test_an_upstream_that_others_can_reach(url: str, pool: dict[str, str], tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but loopback")
        if probe.getsockname()[0].startswith("127."):
            pytest.skip("this machine has no address but loopback")
    with socket.create_server(("0.0.0.0", 0)) as upstream:
        at = f"http://127.0.0.1:{upstream.getsockname()[1]}"
        _, found = doctor(configuration(tmp_path, url, pool["user_pool_id"], pool["client_id"], at))
    assert any(
        "answers on" in each["what"] and "goes round the gateway" in each["why"] for each in found["warning"]
    )


def test_nobody_at_the_endpoint(tmp_path: Path) -> None:
    gone = f"http://127.0.0.1:{free_port()}"
    code, found = doctor(configuration(tmp_path, gone, "us-east-1_Missing12", "1abc", gone))
    assert code == 1
    assert any(each["about"] == "keys of us-east-1_Missing12" for each in found["broken"])
    assert any(each["about"] == "user pool us-east-1_Missing12" for each in found["unknown"])


def test_a_key_that_cannot_be_used(tmp_path: Path) -> None:
    gone = f"http://127.0.0.1:{free_port()}"
    path = configuration(tmp_path, gone, "us-east-1_Missing12", "1abc", gone)
    path.write_text(path.read_text() + "      jwks_file: keys.json\n")
    good = KeyPair.generate("good")
    (tmp_path / "keys.json").write_bytes(key_set_document(good, good.jwk(kid="other", use="enc")))
    _, found = doctor(path)
    (about,) = [each for each in found["warning"] if each["about"] == "key other of us-east-1_Missing12"]
    assert about["what"] == "cannot be used: use is not sig"
    checked = run("check-config", path)
    assert (checked.returncode, checked.stderr) == (
        0,
        f"{path}:8: warning: cognito.user_pools[0].jwks_file: key other cannot be used: use is not sig\n",
    )


def test_secrets_that_others_can_read(url: str, pool: dict[str, str], tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s\n")
    secret.chmod(0o644)
    path = configuration(tmp_path, url, pool["user_pool_id"], pool["client_id"], url)
    path.write_text(path.read_text() + "      client_secret_file: secret\n")
    _, found = doctor(path)
    assert {"about": str(secret), "what": "can be read by others (mode 0644)"}.items() <= found["warning"][
        -1
    ].items()
    assert found["warning"][-1]["fix"] == f"chmod 600 {secret}"
    secret.chmod(0o600)
    _, found = doctor(path)
    assert not [each for each in found["warning"] if each["about"] == str(secret)]


def test_a_configuration_without_a_pool(tmp_path: Path) -> None:
    (tmp_path / "g.yaml").touch()
    code, found = doctor(tmp_path / "g.yaml")
    assert code == 1
    assert found["broken"][0]["what"] == "names no user pool"
    assert found["broken"][0]["fix"].startswith("cognito-gateway setup --write ")
