"""The metrics listener over real sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from gateway.config.model import Address
from gateway.errors import GatewayError
from gateway.observe.exposition import render
from gateway.observe.metrics import WorkerMetrics
from gateway.serve.admin import MetricsListener

Start = Callable[..., Awaitable[MetricsListener]]


async def scrape(accept: str) -> tuple[bytes, str]:
    return render(WorkerMetrics().snapshot(), workers=1, version="0", accept=accept)


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start a listener; all are stopped in the end."""
    started: list[MetricsListener] = []

    async def start(
        address: Address = Address("127.0.0.1", 0),  # noqa: B008 frozen
        path: str = "/metrics",
        *,
        scrape: Callable[[str], Awaitable[tuple[bytes, str]]] = scrape,
        reasons: list[dict[str, str]] | None = None,
    ) -> MetricsListener:
        listener = MetricsListener(address, path, scrape=scrape, readiness=lambda: reasons or [])
        await listener.start()
        started.append(listener)
        return listener

    yield start
    for listener in started:
        await listener.stop()


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def url(listener: MetricsListener, path: str) -> str:
    return f"http://127.0.0.1:{listener.port}{path}"


async def test_metrics(start: Start, client: aiohttp.ClientSession) -> None:
    listener = await start()
    async with client.get(url(listener, "/metrics?x=1")) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert "cognito_gateway_workers 1.0\n" in await answer.text()


async def test_metrics_in_the_format_asked_for(start: Start, client: aiohttp.ClientSession) -> None:
    listener = await start()
    accept = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
    async with client.get(url(listener, "/metrics"), headers=accept) as answer:
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        assert (await answer.text()).endswith("# EOF\n")


async def test_metrics_on_a_path_of_ones_own(start: Start, client: aiohttp.ClientSession) -> None:
    listener = await start(path="/internal/metrics")
    async with client.get(url(listener, "/internal/metrics")) as answer:
        assert answer.status == 200
    async with client.get(url(listener, "/metrics")) as answer:
        assert answer.status == 404


async def test_probes_when_all_is_well(start: Start, client: aiohttp.ClientSession) -> None:
    listener = await start()
    async with client.get(url(listener, "/healthz")) as answer:
        assert (answer.status, await answer.text()) == (200, "ok\n")
        assert answer.headers["Cache-Control"] == "no-store"
    async with client.get(url(listener, "/readyz")) as answer:
        assert (answer.status, await answer.json()) == (200, {"status": "ready"})


async def test_not_ready_says_why_while_health_stays(start: Start, client: aiohttp.ClientSession) -> None:
    reasons = [
        {"component": "keys", "pool": "ap-south-1_TestPool1", "reason": "no key set yet"},
        {"component": "drain", "reason": "shutting down"},
    ]
    listener = await start(reasons=reasons)
    async with client.get(url(listener, "/readyz")) as answer:
        assert answer.status == 503
        assert answer.headers["Content-Type"] == "application/json"
        assert await answer.json() == {"status": "not ready", "reasons": reasons}
    async with client.get(url(listener, "/healthz")) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_head(start: Start, client: aiohttp.ClientSession, path: str) -> None:
    listener = await start()
    async with client.head(url(listener, path)) as answer:
        assert answer.status == 200
        assert int(answer.headers["Content-Length"]) > 0
        assert await answer.read() == b""


@pytest.mark.parametrize("path", ["/", "/healthz/", "/healthz/x", "/oauth2/", "/a%0d%0ab"])
async def test_anything_else_is_not_found(start: Start, client: aiohttp.ClientSession, path: str) -> None:
    listener = await start()
    async with client.get(url(listener, path)) as answer:
        assert (answer.status, await answer.text()) == (404, "not found\n")


async def test_other_methods(start: Start, client: aiohttp.ClientSession) -> None:
    listener = await start()
    async with client.post(url(listener, "/metrics"), data=b"x") as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")


async def raw(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nSECRET HEADER\r\n\r\n",
        b"SECRET\x00\r\n\r\n",
    ],
)
async def test_no_answer_names_a_version_or_echoes(start: Start, request_: bytes) -> None:
    listener = await start()
    answer = await raw(listener.port, request_)
    assert answer.startswith(b"HTTP/1.")
    assert b"Server: cognito-gateway\r\n" in answer
    for word in (b"aiohttp", b"Python", b"SECRET"):
        assert word not in answer


async def test_a_scrape_that_fails_is_ours_to_log(
    start: Start, client: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(accept: str) -> tuple[bytes, str]:
        raise RuntimeError("no snapshot")

    listener = await start(scrape=broken)
    async with client.get(url(listener, "/metrics")) as answer:
        assert (answer.status, await answer.text()) == (500, "internal error\n")
    (record,) = caplog.records
    assert record.exc_info
    assert str(record.exc_info[1]) == "no snapshot"


async def test_a_request_nobody_could_parse_is_not_logged(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    listener = await start()
    await raw(listener.port, b"GET /healthz HTTP/1.1\r\nAuthorization\r\n\r\n")
    assert caplog.records == []


async def test_probes_are_answered_while_a_scrape_waits(start: Start, client: aiohttp.ClientSession) -> None:
    go_on = asyncio.Event()

    async def slow(accept: str) -> tuple[bytes, str]:
        await go_on.wait()
        return b"", "text/plain"

    listener = await start(scrape=slow)
    waiting = asyncio.ensure_future(client.get(url(listener, "/metrics")))
    async with client.get(url(listener, "/healthz")) as answer:
        assert answer.status == 200
    assert not waiting.done()
    go_on.set()
    (await waiting).release()


async def test_a_taken_address_is_one_sentence(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(GatewayError, match=rf"^metrics\.address 127\.0\.0\.1:{port} is taken: [^\n]+$"):
            await start(Address("127.0.0.1", port))


@pytest.mark.parametrize(
    "address",
    [
        Address("192.0.2.1", 9090),
        Address("name.invalid", 9090),
        Address("", 0, Path("/nonexistent/metrics.sock")),
        Address("", 0, Path("/tmp/" + "x" * 200)),
    ],
)
async def test_an_impossible_address_is_one_sentence(start: Start, address: Address) -> None:
    with pytest.raises(GatewayError) as caught:
        await start(address)
    assert str(caught.value).startswith(f"metrics.address {address}: cannot listen: ")
    assert "\n" not in str(caught.value)


async def over_unix(path: Path) -> int:
    connector = aiohttp.UnixConnector(str(path))
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.get("http://localhost/healthz") as answer,
    ):
        return answer.status


async def test_a_unix_socket(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "metrics.sock"
    listener = await start(Address("", 0, path))
    assert await over_unix(path) == 200
    await listener.stop()
    assert not path.exists()


async def test_a_unix_socket_left_behind_is_replaced(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "metrics.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    await start(Address("", 0, path))
    assert await over_unix(path) == 200


async def test_a_unix_socket_in_use_is_left_alone(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "metrics.sock"
    await start(Address("", 0, path))
    with pytest.raises(GatewayError, match="is taken"):
        await start(Address("", 0, path))
    assert await over_unix(path) == 200


async def test_a_file_in_the_way_is_left_alone(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "metrics.sock"
    path.write_text("precious")
    with pytest.raises(GatewayError):
        await start(Address("", 0, path))
    assert path.read_text() == "precious"


async def test_the_port_is_free_after_stop(start: Start) -> None:
    listener = await start()
    await listener.stop()
    await listener.stop()
    with socket.create_server(("127.0.0.1", listener.port)):
        pass


# --- what strangers can do to it ---


def closed(sock: socket.socket) -> bool:
    try:
        return sock.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


async def test_a_new_connection_is_served_and_the_longest_idle_makes_room(start: Start) -> None:
    listener = await start()
    crowd = []
    for _ in range(200):
        sock = socket.create_connection(("127.0.0.1", listener.port))
        sock.setblocking(False)
        crowd.append(sock)
        await asyncio.sleep(0)
    try:
        async with asyncio.timeout(60):
            while sum(map(closed, crowd)) < 136:
                await asyncio.sleep(0.01)
        request = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        assert (await raw(listener.port, request)).endswith(b"ok\n")
        assert not closed(crowd[-1])
    finally:
        for sock in crowd:
            sock.close()


async def test_a_head_is_bounded(start: Start) -> None:
    listener = await start()
    for head in (b"GET /healthz HTTP/1.1\r\nA: " + b"b" * 20_000, b"A" * 20_000):
        assert (await raw(listener.port, head)).startswith(b"HTTP/1.1 431 ")
    ok = await raw(
        listener.port, b"GET /healthz HTTP/1.1\r\nA: " + b"b" * 7000 + b"\r\nConnection: close\r\n\r\n"
    )
    assert ok.startswith(b"HTTP/1.1 200 ")


async def test_who_asks_without_pause_lets_others_have_their_turn(start: Start) -> None:
    """Between two answers to one client another is answered, for metrics and probes alike."""
    scraped = 0

    async def counting(accept: str) -> tuple[bytes, str]:
        nonlocal scraped
        scraped += 1
        return b"x", "text/plain"

    listener = await start(scrape=counting)
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    answered = 0

    async def count() -> None:
        nonlocal answered
        while data := await reader.read(65536):
            answered += data.count(b"HTTP/1.1 200 ")

    counting_task = asyncio.create_task(count())
    writer.write(b"GET /healthz HTTP/1.1\r\n\r\n" * 3000)
    between = []
    probe = b"GET /readyz HTTP/1.1\r\nConnection: close\r\n\r\n"
    while answered < 3000:
        assert (await raw(listener.port, probe)).startswith(b"HTTP/1.1 200 ")
        between.append(answered)
    assert len(between) > 5
    writer.write(b"GET /metrics HTTP/1.1\r\n\r\n" * 20)
    assert (await raw(listener.port, probe)).startswith(b"HTTP/1.1 200 ")
    async with asyncio.timeout(60):
        while scraped < 20:
            await asyncio.sleep(0)
    writer.close()
    await counting_task


@pytest.mark.parametrize(
    "head",
    [
        b"get /healthz HTTP/1.1",
        b"GET http://x/healthz HTTP/1.1",
        b"GET /healthz HTTP/2",
        b"GET /heal thz HTTP/1.1",
        b"GET /healthz HTTP/1.1\r\n folded",
        b"GET /healthz HTTP/1.1\r\nA : b",
        b"GET /healthz HTTP/1.1\r\nA: b\nc",
        b"GET /healthz HTTP/1.1\r\nA: \x00",
    ],
)
async def test_bytes_that_are_no_request_are_refused_and_end_the_connection(
    start: Start, head: bytes
) -> None:
    listener = await start()
    answer = await raw(listener.port, head + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"\r\nConnection: close\r\n" in answer


async def test_a_body_is_never_the_next_request(start: Start) -> None:
    listener = await start()
    for body in (b"Content-Length: 33", b"Transfer-Encoding: chunked"):
        head = b"GET /healthz HTTP/1.1\r\n" + body + b"\r\n\r\n"
        answer = await raw(listener.port, head + b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer.count(b"HTTP/1.1 ") == 1
        assert b"\r\nConnection: close\r\n" in answer
