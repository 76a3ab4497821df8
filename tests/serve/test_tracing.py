"""Spans, from the client's traceparent to a collector that decodes what it is sent."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.config.extras import install_command
from gateway.observe.traceparent import parse
from gateway.serve.worker import Worker
from tests.support import waiting
from tests.support.collector import REFUSED, TAKEN, Collected, Collector
from tests.support.ports import free_port
from tests.support.programs import pinned, serving, until
from tests.support.running import Running, logged, running
from tests.support.tokens import KeyPair
from tests.support.wire import Upstream, get, once

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00"
# Of OTLP's Span.SpanKind.
SERVER, CLIENT = 2, 3
ROUTES = "routes: [{path: /open/**, auth: none}]\n"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans leave after a twentieth of a second here, not after a whole one."""
    monkeypatch.setattr("gateway.observe.spans._PAUSE", 0.05)


def settings(url: str, more: str = "") -> str:
    return f"tracing: {{otlp_endpoint: '{url}'{more}}}\n" + ROUTES


def pair(spans: list[Collected]) -> tuple[Collected, Collected]:
    """The spans of one forwarded request: ours, and ours of asking the upstream."""
    (server,) = [span for span in spans if span.kind == SERVER]
    (client,) = [span for span in spans if span.kind == CLIENT]
    return server, client


async def test_a_request_is_two_spans_in_the_clients_trace(tmp_path: Path) -> None:
    async with Collector().running() as collector, running(tmp_path, settings(collector.url)) as gateway:
        before = time.time_ns()
        target = "/open/things?code=secret-code"
        lines = [f"traceparent: {SAMPLED}", "tracestate: a=1", "tracestate: b=2", gateway.bearer()]
        assert (await once(gateway.port, get(target, *lines))).status == 200
        server, client = pair(await collector.has(2))

        assert (server.trace_id, server.parent_id) == (TRACE, SPAN)
        assert (client.trace_id, client.parent_id) == (TRACE, server.span_id)
        assert before <= server.started <= client.started <= client.ended <= server.ended <= time.time_ns()
        received = gateway.upstream.last
        assert received.all("traceparent") == [f"00-{TRACE}-{client.span_id}-01".encode()]
        assert received.all("tracestate") == [b"a=1", b"b=2"]

        request_id = (received.get("X-Request-Id") or b"").decode()
        assert (server.name, server.failed) == ("GET", False)
        assert server.attributes == {
            "http.request.method": "GET",
            "url.path": "/open/things",
            "url.scheme": "http",
            "http.response.status_code": 200,
            "client.address": "127.0.0.1",
            "network.protocol.version": "1.1",
            "cognito_gateway.request_id": request_id,
            "cognito_gateway.decision": "allowed",
            "cognito_gateway.reason": "open_route",
        }
        assert (client.name, client.failed) == ("GET", False)
        assert client.attributes == {
            "http.request.method": "GET",
            "url.path": "/open/things",
            "server.address": "127.0.0.1",
            "server.port": gateway.upstream.port,
            "http.response.status_code": 200,
        }
        assert server.resource["service.name"] == "cognito-gateway"
        assert (await counted(gateway))["exported"] == 2


async def test_nothing_of_the_caller_is_in_a_span(tmp_path: Path) -> None:
    async with Collector().running() as collector, running(tmp_path, settings(collector.url)) as gateway:
        token = gateway.token(sub="the-subject", username="the-user")
        for name in (token, f"{token}x"):
            path = f"/a/{token}?access_token={token}&q=the-query"
            await once(gateway.port, get(path, f"Authorization: Bearer {name}", "Cookie: a=the-cookie"))
        await collector.has(3)
    sent = b"".join(collector.raw)
    secrets = {"the-subject", "the-user", "the-query", "the-cookie", *token.split(".")}
    assert [each for each in secrets if each.encode() in sent] == []
    assert b"/a/[redacted]" in sent


async def test_who_began_the_trace_decides_whether_it_is_sampled(tmp_path: Path) -> None:
    async with (
        Collector().running() as collector,
        running(tmp_path, settings(collector.url, ", sample: 0")) as g,
    ):
        for parent in (UNSAMPLED, SAMPLED):
            await once(g.port, get("/open/x", f"traceparent: {parent}"))
        await once(g.port, get("/open/x"))
        await collector.has(2)
    unsampled, sampled, own = [parse(each.get("traceparent") or b"") for each in g.upstream.requests]
    assert unsampled is not None
    assert sampled is not None
    assert own is not None
    assert (f"{unsampled.trace_id:032x}", unsampled.flags) == (TRACE, 0)
    assert f"{unsampled.span_id:016x}" != SPAN
    assert (f"{sampled.trace_id:032x}", sampled.flags) == (TRACE, 1)
    assert own.flags == 0
    assert len(collector.spans) == 2
    assert {span.trace_id for span in collector.spans} == {TRACE}


@pytest.mark.parametrize(
    "lines",
    [
        ["traceparent: 00-nonsense"],
        [f"traceparent: {SAMPLED}", f"traceparent: {SAMPLED}"],
        [f"traceparent: {SAMPLED.upper()}"],
        [],
    ],
    ids=["malformed", "twice", "upper case", "none"],
)
async def test_a_trace_of_our_own_begins(tmp_path: Path, lines: list[str]) -> None:
    async with Collector().running() as collector, running(tmp_path, settings(collector.url)) as gateway:
        await once(gateway.port, get("/open/x", *lines, "tracestate: a=1"))
        server, client = pair(await collector.has(2))
    assert server.parent_id == ""
    assert server.trace_id == client.trace_id != TRACE
    received = gateway.upstream.last
    assert received.all("traceparent") == [f"00-{server.trace_id}-{client.span_id}-01".encode()]
    assert received.all("tracestate") == [], "it belongs to the traceparent it came with"


async def test_refusals_and_failures(tmp_path: Path) -> None:
    upstream = Upstream(answer=b"HTTP/1.1 banana\r\n\r\n")
    async with (
        Collector().running() as collector,
        running(tmp_path, settings(collector.url), upstream=upstream) as gateway,
    ):
        assert (await once(gateway.port, get("/closed"))).status == 401
        (refused,) = await collector.has(1)
        assert (refused.kind, refused.failed) == (SERVER, False)
        assert refused.attributes["http.response.status_code"] == 401
        assert refused.attributes["cognito_gateway.reason"] == "no_credentials"
        collector.spans.clear()

        assert (await once(gateway.port, get("/open/x", method="PROPFIND"))).status == 502
        server, client = pair(await collector.has(2))
        for span in (server, client):
            assert (span.name, span.attributes["http.request.method"]) == ("HTTP", "_OTHER")
            assert (span.failed, span.attributes["error.type"]) == (True, "upstream_broken")
        collector.spans.clear()

        # Not even a head.
        assert (await once(gateway.port, b"nonsense\r\n\r\n")).status == 400
        (unread,) = await collector.has(1)
        assert (unread.name, unread.attributes["url.path"]) == ("HTTP", "-")


TRACESTATE = "rojo=00f067aa0ba902b7,  congo=t61rcWkgMzE"


@pytest.mark.parametrize("parent", [SAMPLED, "00-not-even-one", SAMPLED.upper()])
async def test_without_tracing_both_pass_untouched(tmp_path: Path, parent: str) -> None:
    async with running(tmp_path, ROUTES) as gateway:
        lines = [f"TraceParent: {parent}", f"tracestate: {TRACESTATE}", "tracestate: b=2"]
        await once(gateway.port, get("/open/x", *lines))
    head = gateway.upstream.last.head
    for line in lines:
        assert line.encode() + b"\r\n" in head
    assert head.lower().count(b"traceparent") == 1


async def counted(gateway: Running) -> dict[str, int]:
    """The spans by what became of them, as the metrics have it (the thread counts after the answer)."""
    spans = gateway.worker.metrics.spans
    await waiting.until(lambda: any(spans.values()))
    return dict(spans)


async def test_a_collector_that_refuses_is_said_once_and_stops_nothing(tmp_path: Path) -> None:
    collector = Collector(answer=REFUSED)
    async with collector.running(), running(tmp_path, settings(collector.url)) as gateway:
        await once(gateway.port, get("/open/x"))
        (away,) = await logged(gateway, "tracing_unavailable", 1)
        assert away["endpoint"] == collector.url
        assert "400" in away["exact"]
        await once(gateway.port, get("/open/x"))
        await waiting.until(lambda: gateway.worker.metrics.spans["failed"] >= 4)
        collector.answer = TAKEN
        await once(gateway.port, get("/open/x"))
        await logged(gateway, "tracing_recovered", 1)
        assert len([line for line in gateway.log() if line["event"] == "tracing_unavailable"]) == 1
        assert [line for line in gateway.log() if line["event"] == "log"] == []


async def test_a_collector_that_is_away_costs_requests_no_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens: the queue fills up, what is too much is dropped and counted, requests go on."""
    monkeypatch.setattr("gateway.observe.spans._MAX_WAITING", 20)
    async with running(tmp_path, settings(f"http://127.0.0.1:{free_port()}")) as gateway:
        begun = time.monotonic()
        for _ in range(60):
            assert (await once(gateway.port, get("/open/x"))).status == 200
        assert (
            time.monotonic() - begun < 30
        )  # one attempt to send takes as long as that, and there would be many
        spans = gateway.worker.metrics.spans
        assert spans["exported"] == 0
        assert spans["dropped"] > 0
        begun = time.monotonic()
    assert time.monotonic() - begun < 20, "it ends without the collector"


async def test_the_last_spans_are_sent_before_the_end(tmp_path: Path) -> None:
    async with Collector().running() as collector:
        async with running(tmp_path, settings(collector.url)) as gateway:
            await once(gateway.port, get("/open/x"))
        assert len(collector.spans) == 2


async def test_a_reload_keeps_the_tracer_or_makes_another(tmp_path: Path) -> None:
    from gateway.config.load import load

    async with Collector().running() as one, Collector().running() as other:
        async with running(tmp_path, settings(one.url)) as gateway:
            worker: Worker = gateway.worker
            path = tmp_path / "gateway.yaml"
            text = path.read_text()
            path.write_text(text + "log: {level: warning}\n")
            first = worker.app.tracer
            await worker.reload(load(path, {}).config)
            assert worker.app.tracer is first
            path.write_text(text.replace(one.url, other.url))
            await worker.reload(load(path, {}).config)
            await once(gateway.port, get("/open/x"))
            await other.has(2)
            path.write_text(ROUTES.join(text.split(settings(one.url))))
            await worker.reload(load(path, {}).config)
            await once(gateway.port, get("/open/x", f"traceparent: {SAMPLED}"))
            assert gateway.upstream.last.all("traceparent") == [SAMPLED.encode()]
        assert one.spans == []
        assert len(other.spans) == 2


async def test_workers_send_their_own_and_are_counted_together(tmp_path: Path) -> None:
    async with (
        Collector().running() as collector,
        Upstream().running() as upstream,
        serving(
            tmp_path,
            upstream=upstream.url,
            pools=pinned(tmp_path, KeyPair.generate("key-1")),
            more=settings(collector.url),
            environ={"COGNITO_GATEWAY_LISTEN__WORKERS": "2"},
        ) as served,
    ):
        asked = 0

        async def both_have_served() -> bool:
            # A worker that still starts has lent its socket to the other one.
            nonlocal asked
            for _ in range(20):
                assert (await served.ask("/open/x", f"traceparent: {SAMPLED}")).status == 200
                asked += 1
            await collector.has(2 * asked)
            return len({span.resource["service.instance.id"] for span in collector.spans}) == 2

        await until(both_have_served)

        async def counted_all() -> bool:
            # Those that ask whether it listens are requests, too.
            exported = (await served.samples())['cognito_gateway_spans_total{result="exported"}']
            return exported == len(collector.spans)

        await until(counted_all)
        assert await served.stop() == 0
        assert "Traceback" not in served.stdout + served.stderr


HIDDEN = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "opentelemetry":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
from gateway.cli import main
sys.exit(main())
"""


def test_an_extra_that_is_not_there_is_named_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text("listen: {address: '127.0.0.1:0'}\nmetrics: {address: '127.0.0.1:0'}\n")
    path.write_text(path.read_text() + settings("http://127.0.0.1:4318"))
    command: list[str | Path] = [sys.executable, "-c", HIDDEN, "serve", "--config", path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    told = f"opentelemetry is not installed: {install_command('tracing')}"
    assert done.stderr.splitlines() == [f"cognito-gateway: tracing is set, and {told}"]


def test_what_is_not_configured_is_not_imported() -> None:
    program = "import sys, gateway.serve.worker; sys.exit('opentelemetry' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
