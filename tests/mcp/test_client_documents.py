"""Client ID metadata documents: fetched from listed hosts at public addresses, and bounded in every way."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from gateway.errors import AuthorizationRefused
from gateway.mcp.client_documents import ClientDocuments, is_public, public_addresses
from tests.support.certificates import Authority, accepting, calling
from tests.support.mcp_client import RESOURCE, registered
from tests.support.portal import HTML
from tests.support.site import site
from tests.support.wire import get, once

HOST = "client.example.com"
URL = f"https://{HOST}/client.json"
DOCUMENT = {
    "client_id": URL,
    "client_name": "Documented",
    "redirect_uris": ["http://127.0.0.1:1/cb", f"https://{HOST}/cb", "https://other.example/cb"],
    "token_endpoint_auth_method": "none",
}


@dataclass
class Host:
    """A web server that stands where the Internet would, and how it is asked."""

    documents: ClientDocuments
    answer: Callable[[web.Request], web.StreamResponse | Awaitable[web.StreamResponse]]
    asked: list[str] = field(default_factory=list)
    now: float = 0.0


@contextlib.asynccontextmanager
async def host(folder: Path, *, name: str = HOST) -> AsyncIterator[Host]:
    authority = Authority(folder)
    pair = authority.sign("host", name)

    async def serve(request: web.Request) -> web.StreamResponse:
        at.asked.append(request.path)
        answer = at.answer(request)
        return answer if isinstance(answer, web.StreamResponse) else await answer

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    place = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=accepting(pair))
    await place.start()

    async def here(_: str) -> Sequence[str]:
        return ["127.0.0.1"]

    documents = ClientDocuments(
        [HOST],
        resolve=here,
        port=runner.addresses[0][1],
        context=calling(authority),
        clock=lambda: at.now,
    )
    at = Host(documents, lambda _: web.json_response(DOCUMENT))
    try:
        yield at
    finally:
        await documents.stop()
        await runner.cleanup()


async def test_a_document_is_fetched_once_for_many_and_kept(tmp_path: Path) -> None:
    async with host(tmp_path) as at:
        found = await asyncio.gather(*(at.documents.client(URL) for _ in range(20)))
        assert {client.unverified_name for client in found} == {"Documented"}
        assert found[0].may_redirect_to("http://127.0.0.1:99/cb")
        assert not found[0].may_redirect_to("https://evil.example/cb")
        await at.documents.client(URL)
        assert len(at.asked) == 1
        at.now = 601.0
        await at.documents.client(URL)
        assert len(at.asked) == 2


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: web.Response(status=302, headers={"Location": f"https://{HOST}/other.json"}),
        lambda _: web.Response(status=404),
        lambda _: web.Response(body=b"{" + b" " * 20_000 + b"}"),
        lambda _: web.Response(text="no JSON"),
        lambda _: web.json_response([]),
        lambda _: web.json_response({**DOCUMENT, "client_id": f"https://{HOST}/another.json"}),
        lambda _: web.json_response({**DOCUMENT, "redirect_uris": "http://127.0.0.1/"}),
        lambda _: web.json_response({**DOCUMENT, "token_endpoint_auth_method": "client_secret_post"}),
        lambda _: web.Response(text=json.dumps(DOCUMENT)[:-1] + ', "client_id": "x"}'),
    ],
    ids=["redirect", "missing", "huge", "text", "list", "another", "uris", "secret", "twice"],
)
async def test_documents_that_are_refused(
    tmp_path: Path, answer: Callable[[web.Request], web.StreamResponse]
) -> None:
    async with host(tmp_path) as at:
        at.answer = answer
        for _ in range(3):
            with pytest.raises(AuthorizationRefused):
                await at.documents.client(URL)
        assert at.asked == ["/client.json"], "neither followed nor asked for again at once"
        at.answer = lambda _: web.json_response(DOCUMENT)
        at.now = 31.0
        assert (await at.documents.client(URL)).unverified_name == "Documented"


UNUSABLE = [
    f"https://{HOST}/cb\r\nX-Evil: 1",
    f"https://{HOST}/cb#fragment",
    f"https://{HOST}/c\u00e4",
    f"https://{HOST}/a b",
    f"https://{HOST}/\\evil.example",
    f"https://{HOST}",
    f"https://{HOST}.evil.example/cb",
    f"https://{HOST}@evil.example/cb",
    f"https://user@{HOST}/cb",
    f"https://{HOST}:8443/cb",
    f"HTTPS://{HOST}/cb",
    f"http://{HOST}/cb",
    "http://127.0.0.1/#fragment",
    "javascript:alert(1)",
]


async def test_redirects_of_a_document_that_nobody_is_sent_to(tmp_path: Path) -> None:
    more = f"mcp: {{resource: '{RESOURCE}', client_documents: [{HOST}]}}\n"
    async with host(tmp_path) as at, site(tmp_path, more=more) as here:
        at.answer = lambda _: web.json_response(
            {**DOCUMENT, "redirect_uris": [*UNUSABLE, f"https://{HOST}/cb"]}
        )
        client = await at.documents.client(URL)
        portal = here.worker.app.portal
        assert portal is not None
        assert portal.mcp is not None
        for uri in filter(client.may_redirect_to, UNUSABLE):
            with pytest.raises(AuthorizationRefused):
                portal.mcp.need_redirect(uri, client.host)
        portal.mcp.need_redirect(f"https://{HOST}/cb", client.host)


async def test_a_host_that_sends_byte_by_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.mcp.client_documents.TIMEOUT", 0.5)

    async def drip(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        with contextlib.suppress(ConnectionError):
            while True:
                await answer.write(b" ")
                await asyncio.sleep(0.05)
        return answer

    async with host(tmp_path) as at:
        at.answer = drip
        with pytest.raises(AuthorizationRefused, match="did not come within"):
            await at.documents.client(URL)


async def test_a_name_that_changes_between_check_and_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the first answer is allowed, all later ones lead inside. Only the first is used."""
    asked: list[str] = []

    async def resolve(_: str) -> Sequence[str]:
        asked.append("127.0.0.2" if not asked else "127.0.0.1")
        return asked[-1:]

    async with host(tmp_path) as at:
        with socket.create_server(("127.0.0.1", 0)) as inside:
            documents = ClientDocuments([HOST], resolve=resolve, port=inside.getsockname()[1])
            with pytest.raises(AuthorizationRefused):
                await documents.client(URL)
            await documents.stop()
            inside.setblocking(False)
            with pytest.raises(BlockingIOError):
                inside.accept()
        assert asked == ["127.0.0.2"]
        assert at.asked == []


async def test_a_host_that_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.mcp.client_documents.TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:

        async def here(_: str) -> Sequence[str]:
            return ["127.0.0.1"]

        documents = ClientDocuments([HOST], resolve=here, port=silent.getsockname()[1])
        with pytest.raises(AuthorizationRefused, match="did not come within"):
            await documents.client(URL)
        await documents.stop()


async def test_a_certificate_for_another_name(tmp_path: Path) -> None:
    async with host(tmp_path, name="other.example.com") as at:
        with pytest.raises(AuthorizationRefused):
            await at.documents.client(URL)
        assert at.asked == []


@pytest.mark.parametrize(
    "client_id",
    [
        "https://evil.example/client.json",
        f"http://{HOST}/client.json",
        f"https://{HOST}",
        f"https://{HOST}/",
        f"https://{HOST}:8443/client.json",
        f"https://user@{HOST}/client.json",
        f"https://{HOST}@evil.example/client.json",
        f"https://{HOST}.evil.example/client.json",
        f"https://{HOST}/a/../client.json",
        f"https://{HOST}/client.json#x",
        f"https://{HOST}/{'a' * 600}",
        f"https://{HOST}:x/client.json",
        "https://[::1]/client.json",
    ],
)
async def test_addresses_that_nobody_is_asked_for(tmp_path: Path, client_id: str) -> None:
    async with host(tmp_path) as at:
        with pytest.raises(AuthorizationRefused):
            await at.documents.client(client_id)
        assert at.asked == []


async def test_a_flood_of_addresses_at_a_listed_host(tmp_path: Path) -> None:
    async with host(tmp_path) as at:
        at.answer = lambda request: web.json_response(
            {**DOCUMENT, "client_id": f"https://{HOST}{request.path}"}
        )
        results = await asyncio.gather(
            *(at.documents.client(f"https://{HOST}/{number}") for number in range(100)),
            return_exceptions=True,
        )
        assert sum(isinstance(result, AuthorizationRefused) for result in results) == 90
        assert len(at.asked) == 10


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0", "fd00::1", "ff02::1", "::ffff:127.0.0.1",
        "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "fec0::1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111"])
def test_addresses_that_are(address: str) -> None:
    assert is_public(address)


async def test_a_name_that_leads_inside() -> None:
    with pytest.raises(OSError, match="not public"):
        await public_addresses("localhost")


async def test_at_the_front_door(tmp_path: Path) -> None:
    more = f"mcp: {{resource: '{RESOURCE}', client_documents: [localhost.localdomain]}}\n"
    async with site(tmp_path, more=more) as at:
        metadata = await once(at.worker.port, get("/.well-known/oauth-authorization-server"))
        assert json.loads(metadata.body)["client_id_metadata_document_supported"] is True
        program = await registered(at)
        for client_id in ("https://localhost.localdomain/client.json", "https://evil.example/client.json"):
            reply = await once(at.worker.port, get(program.authorize(client_id=client_id), HTML))
            assert (reply.status, reply.get("location")) == (400, None)


async def test_where_the_pool_registers_clients_itself(tmp_path: Path) -> None:
    more = f"mcp: {{resource: '{RESOURCE}', registration: native}}\n"
    bound = {"clients": "bound", "audiences": [RESOURCE]}
    async with site(tmp_path, more=more, pool=bound) as at:
        reply = await once(at.worker.port, get("/.well-known/oauth-protected-resource/mcp"))
        document = json.loads(reply.body)
        assert document["resource"] == RESOURCE
        assert document["authorization_servers"] == [f"{at.local.url}/us-east-1_Pages1234"]
        for path in ("/oauth2/authorize", "/oauth2/consent"):
            assert (await once(at.worker.port, get(path, HTML))).status == 404
        assert (await once(at.worker.port, get("/.well-known/oauth-authorization-server"))).status == 401
