"""What the gate does with files, packages and answers that are not as they should be."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.config.load import load
from gateway.errors import BadRequest, GatewayError
from gateway.gate.redis_rate import SharedBuckets
from gateway.gate.signing_keys import read_signing_keys
from gateway.gate.tracing import tracer_of
from gateway.gate.trust import host_of
from gateway.http.headers import HeaderTable, scan
from gateway.observe.metrics import WorkerMetrics
from gateway.redis.redis_client import RedisUnavailable
from gateway.tokens import pyjwt
from tests.support.collector import Collector
from tests.support.running import running
from tests.support.shared_redis import Lines, logging_to
from tests.support.wire import Upstream, get, once


def test_a_signing_key_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(GatewayError, match=r"missing\.pem: No such file|missing\.pem: no such file"):
        read_signing_keys(tmp_path / "missing.pem")


@pytest.mark.parametrize(
    ("upstream", "host"),
    [
        ("url: 'http://api.test:81'", "api.test:81"),
        ("url: 'http://api.test:81', host_header: preserve", "api.test:81"),
        ("url: 'http://api.test:81', host_header: other.test", "other.test"),
    ],
)
def test_the_host_of_a_request_that_no_client_sent(tmp_path: Path, upstream: str, host: str) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(f"upstream: {{{upstream}}}\n")
    assert host_of(load(file, {}).config) == host


@pytest.mark.parametrize(("missing", "error"), [("opentelemetry", GatewayError), (None, ModuleNotFoundError)])
def test_tracing_without_its_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str | None, error: type[Exception]
) -> None:
    """Which extra is missing is said; that a module of ours is missing is no sentence for users."""
    file = tmp_path / "gateway.yaml"
    file.write_text("tracing: {otlp_endpoint: 'http://127.0.0.1:4318'}\n")
    config = load(file, {}).config
    for name in [name for name in sys.modules if name.split(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    if missing is None:
        monkeypatch.setitem(sys.modules, "gateway.gate.tracer", None)
    else:
        monkeypatch.setitem(sys.modules, missing, None)
        monkeypatch.delitem(sys.modules, "gateway.gate.tracer", raising=False)
        monkeypatch.delitem(sys.modules, "gateway.observe.spans", raising=False)
    with logging_to(tmp_path, Lines()) as log, pytest.raises(error):
        tracer_of(config, metrics=WorkerMetrics(), log=log, previous=None)


# Of OTLP's Span.SpanKind.
CLIENT = 3


class Answering:
    """A Redis whose script answers as another one's would."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    async def run(self, *_: Any) -> Any:
        return self.answer


@pytest.mark.parametrize("answer", [None, [1, 2], [1, b"many", 3], 7])
async def test_a_redis_that_answers_something_else_is_unavailable(answer: Any) -> None:
    buckets = SharedBuckets(Answering(answer), prefix="rate:", interval=1.0, capacity=3)  # type: ignore[arg-type]  # what Redis stands for here
    with pytest.raises(RedisUnavailable):
        await buckets.take("k")


def test_what_is_loaded_already_is_not_loaded_again() -> None:
    """PyJWT's import of x509 is deferred only where nobody has needed it yet."""
    from cryptography import x509

    importlib.reload(pyjwt)
    assert sys.modules["cryptography.x509"] is x509


def test_what_nobody_has_needed_is_loaded_when_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    import cryptography
    from cryptography import x509

    certificate = x509.Certificate
    monkeypatch.setattr(cryptography, "x509", x509)
    monkeypatch.delitem(sys.modules, "cryptography.x509")
    importlib.reload(pyjwt)
    deferred = sys.modules["cryptography.x509"]
    assert cryptography.x509 is deferred is not x509
    assert "Certificate" not in object.__getattribute__(deferred, "__dict__")
    assert cryptography.x509.Certificate is certificate
    assert "Certificate" in object.__getattribute__(deferred, "__dict__")


@pytest.mark.parametrize("value", [b"1x", b"-1", b"", b"1" * 20])
def test_a_length_that_is_none_is_refused_here_too(value: bytes) -> None:
    """The parser refuses it before, but the order of two guards is nobody's promise."""
    table = HeaderTable([], trusted=False)
    with pytest.raises(BadRequest, match="Content-Length"):
        scan(((b"Content-Length", value),), table)


@pytest.mark.parametrize(("sub", "sent"), [("Zoë", b"Zo%C3%AB"), (" a ", b"%20a%20"), ("100%", b"100%25")])
async def test_a_name_that_needs_encoding(tmp_path: Path, sub: str, sent: bytes) -> None:
    async with running(tmp_path) as gateway:
        assert (await once(gateway.port, get("/", gateway.bearer(sub=sub)))).status == 200
        assert gateway.upstream.last.get("X-Auth-Request-User") == sent


async def test_a_span_of_an_upstream_on_a_socket_file_names_the_file(tmp_path: Path) -> None:
    socket = tmp_path / "api.sock"
    upstream = Upstream(answer=b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    routes = "routes: [{path: /**, auth: none}]\n"
    async with Collector().running() as collector, upstream.running(unix=socket):
        tracing = f"tracing: {{otlp_endpoint: '{collector.url}'}}\n"
        async with running(tmp_path, tracing + routes, upstream_url=f"unix:{socket}") as gateway:
            assert (await once(gateway.port, get("/missing"))).status == 404
            await collector.has(2)
    (span,) = [each for each in collector.spans if each.kind == CLIENT]
    assert span.attributes["server.address"] == str(socket)
    assert "server.port" not in span.attributes
    assert span.attributes["error.type"] == "404"
