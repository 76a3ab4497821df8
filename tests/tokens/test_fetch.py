"""One read of a key set document: real sockets, real files, every way it can go wrong."""

from __future__ import annotations

import datetime
import os
import ssl
from collections.abc import AsyncIterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from gateway.keys.fetch import FetchFailed, FileSource, HttpSource
from gateway.tokens.jwk import MAX_DOCUMENT_SIZE, KeySetRefused, parse_key_set
from tests.support.key_server import BROKEN, KeyServer
from tests.support.ports import free_port
from tests.support.tokens import KeyPair, key_set_document
from tests.support.waiting import PATIENCE

DOCUMENT = key_set_document(KeyPair.generate("one"))

# What each broken answer is called; the others arrive and are refused by parse_key_set.
REASONS = {
    "error": "status",
    "not_found": "status",
    "redirect": "status",
    "oversize": "too_large",
    "oversize_declared": "too_large",
    "drip": "timeout",
    "hang": "timeout",
    "cut": "unreachable",
    "garbage": "unreachable",
}


@pytest.fixture
async def server() -> AsyncIterator[KeyServer]:
    async with KeyServer(DOCUMENT).running() as server:
        yield server


async def test_reads_the_document(server: KeyServer) -> None:
    assert await HttpSource(server.url, timeout=PATIENCE).read() == DOCUMENT


async def test_says_what_it_wants_and_nothing_else(server: KeyServer) -> None:
    await HttpSource(server.url, timeout=PATIENCE).read()
    (headers,) = server.headers
    assert headers["Accept"] == "application/jwk-set+json, application/json"
    assert headers["Accept-Encoding"] == "identity"
    assert headers["User-Agent"].startswith("cognito-gateway/")
    assert set(headers) == {"Host", "Accept", "Accept-Encoding", "User-Agent"}


@pytest.mark.parametrize("mode", BROKEN)
async def test_a_malformed_response_is_rejected_in_time(server: KeyServer, mode: str) -> None:
    server.mode = mode
    # What does not end by itself goes on for 20 s and more.
    timeout = 0.3 if REASONS.get(mode) == "timeout" else PATIENCE
    with pytest.raises((FetchFailed, KeySetRefused)) as caught:
        parse_key_set(await HttpSource(server.url, timeout=timeout).read())
    reason = caught.value.reason if isinstance(caught.value, FetchFailed) else None
    assert reason == REASONS.get(mode)
    assert "captive" not in str(caught.value)
    assert "nonsense" not in str(caught.value)


async def test_a_redirect_is_not_followed(server: KeyServer) -> None:
    server.mode = "redirect"
    with pytest.raises(FetchFailed):
        await HttpSource(server.url, timeout=PATIENCE).read()
    assert server.redirected == 0


async def test_proxy_variables_are_ignored(server: KeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert await HttpSource(server.url, timeout=PATIENCE).read() == DOCUMENT


async def test_a_refused_connection() -> None:
    with pytest.raises(FetchFailed) as caught:
        await HttpSource(f"http://127.0.0.1:{free_port()}/", timeout=PATIENCE).read()
    assert caught.value.reason == "unreachable"


async def test_plain_http_where_tls_is_expected(server: KeyServer) -> None:
    with pytest.raises(FetchFailed) as caught:
        await HttpSource(server.url.replace("http:", "https:"), timeout=PATIENCE).read()
    assert caught.value.reason == "unreachable"


async def test_an_untrusted_certificate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pem").write_bytes(self_signed())
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "pem")
    async with KeyServer(DOCUMENT).running(tls) as server:
        url = server.url.replace("http:", "https:")
        with pytest.raises(FetchFailed) as caught:
            await HttpSource(url, timeout=PATIENCE).read()
        assert str(caught.value).startswith(f"{url}: certificate verify failed: ")
        assert "set cognito.ca_file" in str(caught.value)
        assert server.fetches == 0


async def test_the_largest_document(server: KeyServer, tmp_path: Path) -> None:
    server.document = DOCUMENT.ljust(MAX_DOCUMENT_SIZE)
    (tmp_path / "jwks.json").write_bytes(server.document)
    assert await HttpSource(server.url, timeout=PATIENCE).read() == server.document
    assert await FileSource(tmp_path / "jwks.json").read() == server.document


async def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(DOCUMENT)
    assert await FileSource(path).read() == DOCUMENT


async def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FetchFailed, match="no such file") as caught:
        await FileSource(tmp_path / "jwks.json").read()
    assert caught.value.reason == "unreadable"


async def test_a_directory(tmp_path: Path) -> None:
    with pytest.raises(FetchFailed) as caught:
        await FileSource(tmp_path).read()
    assert caught.value.reason == "unreadable"


async def test_a_pipe_without_a_writer_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FetchFailed, match="not a regular file"):
        await FileSource(tmp_path / "pipe").read()


async def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    (tmp_path / "jwks.json").write_bytes(DOCUMENT.ljust(MAX_DOCUMENT_SIZE + 1))
    with pytest.raises(FetchFailed) as caught:
        await FileSource(tmp_path / "jwks.json").read()
    assert caught.value.reason == "too_large"


def self_signed() -> bytes:
    """A key and a certificate for 127.0.0.1, in PEM."""
    key = KeyPair.generate("tls").private_key
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    today = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return secret + certificate.public_bytes(serialization.Encoding.PEM)
