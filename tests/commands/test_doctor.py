"""`doctor` from outside, against a local Cognito and upstreams that are there or not."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.support import local_cognito
from tests.support.certificates import Authority, accepting
from tests.support.commands import run_here as run
from tests.support.ports import free_port
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


class _Api(BaseHTTPRequestHandler):
    """Answers 404 to everything, and keeps what it was asked."""

    asked: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers["Host"]))
        self.send_error(404)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass

    def log_error(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def api(tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[str]:
    """An API, and its URL."""
    with ThreadingHTTPServer((host, 0), _Api) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join(10)


def test_all_is_well(url: str, pool: dict[str, str], tmp_path: Path) -> None:
    with api() as at:
        path = configuration(tmp_path, url, pool["user_pool_id"], pool["client_id"], at)
        code, found = doctor(path)
        text = run("doctor", "--config", path)
    assert (code, found["broken"]) == (0, [])
    # The local Cognito's pools have no second factor; a machine may have no address but loopback.
    assert [each["what"] for each in found["warning"]] == ["no second factor is required"]
    assert (text.returncode, text.stderr) == (0, "")
    assert "✓ clock agrees with Cognito's" in text.stdout
    assert f"✓ upstream {at} answers GET / with 404" in text.stdout
    assert text.stdout.splitlines()[-1].startswith("0 broken, 1 warning")
    assert "1 warnings" not in text.stdout


def test_broken_things_are_reported_and_the_exit_code_is_1(
    url: str, pool: dict[str, str], tmp_path: Path
) -> None:
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
    with api(host="0.0.0.0") as at:
        _, found = doctor(configuration(tmp_path, url, pool["user_pool_id"], pool["client_id"], at))
    assert any(
        "answers on" in each["what"] and "bypass the gateway" in each["why"] for each in found["warning"]
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


# --- the upstream: everything that would make each request a 502 -------------------------------------------


def upstream_findings(url: str, pool: dict[str, str], folder: Path, at: str, more: str = "") -> list[str]:
    """What doctor says of this upstream: level, what and what to do."""
    path = configuration(folder, url, pool["user_pool_id"], pool["client_id"], at)
    path.write_text(path.read_text().replace(f"  url: {at}\n", f"  url: {at}\n{more}"))
    code, found = doctor(path)
    told = [
        f"{level}: {each['what']} -> {each['fix']}"
        for level, findings in found.items()
        for each in findings
        if each["about"] == f"upstream {at}"
    ]
    assert (code == 1) == any(line.startswith("broken") for line in told)
    return told


def test_an_https_upstream_is_shaken_hands_with_as_configured(
    url: str, pool: dict[str, str], tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    tls = accepting(authority.sign("api", "api.test"))
    ca = f"  tls: {{ca_file: {authority.file}}}\n"
    named = f"  tls: {{ca_file: {authority.file}, server_name: api.test}}\n"
    with api(tls) as at:
        (unknown_authority,) = upstream_findings(url, pool, tmp_path, at)
        (wrong_name,) = upstream_findings(url, pool, tmp_path, at, ca)
        (well,) = upstream_findings(url, pool, tmp_path, at, named)
        (plain_http,) = upstream_findings(url, pool, tmp_path, at.replace("https:", "http:"))
    assert unknown_authority.startswith("broken: TLS handshake failed: certificate verify failed")
    assert "upstream.tls.ca_file" in unknown_authority
    assert wrong_name.startswith("broken: TLS handshake failed: certificate verify failed")
    assert "upstream.tls.server_name" in wrong_name
    assert well == "good: answers GET / with 404 -> "
    assert plain_http.startswith("broken: ")


def test_an_http_upstream_that_is_called_by_https(url: str, pool: dict[str, str], tmp_path: Path) -> None:
    with api() as at:
        (told,) = upstream_findings(url, pool, tmp_path, at.replace("http:", "https:"))
    assert told.startswith("broken: TLS handshake failed: the server does not speak TLS on this port")
    assert "use http://" in told


def test_an_upstream_that_wants_a_client_certificate(url: str, pool: dict[str, str], tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    tls = accepting(authority.sign("api", "127.0.0.1"), authority)
    caller = authority.sign("caller")
    ca = f"  tls: {{ca_file: {authority.file}"
    pair = f", certificate_file: {caller.certificate}, key_file: {caller.key}}}\n"
    with api(tls) as at:
        (without,) = upstream_findings(url, pool, tmp_path, at, ca + "}\n")
        (well,) = upstream_findings(url, pool, tmp_path, at, ca + pair)
    assert without.startswith("broken: ")
    assert "upstream.tls.certificate_file" in without
    assert well.startswith("good: ")


def test_an_upstream_that_is_no_http_server(url: str, pool: dict[str, str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection:
                        connection.sendall(b"220 mail.test ESMTP\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        at = f"http://127.0.0.1:{server.getsockname()[1]}"
        (told,) = upstream_findings(url, pool, tmp_path, at)
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)
    assert told.startswith("broken: does not answer in HTTP/1.1")


def test_the_request_carries_the_configured_host(url: str, pool: dict[str, str], tmp_path: Path) -> None:
    with api() as at:
        upstream_findings(url, pool, tmp_path, at, "  host_header: api.internal:8443\n")
    assert ("/", "api.internal:8443") in _Api.asked
