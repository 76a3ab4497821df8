"""What Cognito's answers mean, and an endpoint that misbehaves on a real socket."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from gateway.revocation.get_user import CheckFailed, TokenStatus, UserPoolApi, judge

TOKEN = b"eyJ.hunter2.c2ln"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def error(kind: str, message: str = "") -> bytes:
    return json.dumps({"__type": kind, "message": message}).encode()


@pytest.mark.parametrize(
    ("document", "answer"),
    [
        (error("NotAuthorizedException", "Access Token has been revoked"), TokenStatus.REVOKED),
        (error("NotAuthorizedException", "Access Token has expired"), TokenStatus.ENDED),
        (error("NotAuthorizedException", "User is disabled."), TokenStatus.DISABLED),
        (error("NotAuthorizedException", "words that AWS may choose tomorrow"), TokenStatus.REFUSED),
        (error("NotAuthorizedException"), TokenStatus.REFUSED),
        (b'{"__type": "NotAuthorizedException"}', TokenStatus.REFUSED),
        (error("com.amazonaws.cognito#UserNotFoundException", "User does not exist."), TokenStatus.DELETED),
        (error("PasswordResetRequiredException"), TokenStatus.REFUSED),
        (error("UserNotConfirmedException"), TokenStatus.REFUSED),
    ],
)
def test_each_answer_of_cognito_has_one_meaning(document: bytes, answer: TokenStatus) -> None:
    assert judge(400, document) is answer


@pytest.mark.parametrize(
    ("status", "document", "reason"),
    [
        (400, error("TooManyRequestsException"), "throttled"),
        (429, b"", "throttled"),
        (500, error("InternalErrorException"), "status"),
        (400, error("ResourceNotFoundException"), "status"),
        (403, error("ForbiddenException"), "status"),
        (400, error("NotAuthorizedException", "Invalid Access Token"), "foreign"),
        (302, b"", "status"),
        (400, b"<html>", "status"),
        (400, b'"NotAuthorizedException"', "status"),
        (400, b'{"__type": 7}', "status"),
        (400, b"[" * 100_000, "status"),
    ],
)
def test_an_answer_that_says_nothing_about_the_token_is_a_failure(
    status: int, document: bytes, reason: str
) -> None:
    with pytest.raises(CheckFailed) as failed:
        judge(status, document)
    assert failed.value.reason == reason


@given(st.integers(201, 599), st.binary(max_size=300))
def test_no_error_document_is_read_as_success(status: int, document: bytes) -> None:
    with contextlib.suppress(CheckFailed):
        assert judge(status, document) is not TokenStatus.HOLDS


@contextlib.asynccontextmanager
async def endpoint(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def ask(url: str, timeout: float = 20.0) -> TokenStatus:
    api = UserPoolApi(url, timeout=timeout)
    try:
        return await api.ask("us-east-1", TOKEN)
    finally:
        await api.close()


async def test_the_request_on_the_wire() -> None:
    seen: list[tuple[str, str, dict[str, str], bytes]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((request.method, request.path, dict(request.headers), await request.read()))
        return web.json_response({"Username": "alice", "UserAttributes": []})

    async with endpoint(handler) as url:
        assert await ask(url) is TokenStatus.HOLDS
    ((method, path, headers, body),) = seen
    assert (method, path, json.loads(body)) == ("POST", "/", {"AccessToken": TOKEN.decode()})
    assert headers["Content-Type"] == "application/x-amz-json-1.1"
    assert headers["X-Amz-Target"] == "AWSCognitoIdentityProviderService.GetUser"
    assert "Authorization" not in headers


async def test_a_redirect_is_not_followed_with_the_token() -> None:
    asked: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    async with endpoint(handler) as url:
        with pytest.raises(CheckFailed):
            await ask(url)
    assert asked == ["/"]


async def test_connections_are_kept() -> None:
    ports: set[int] = set()

    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        ports.add(request.transport.get_extra_info("peername")[1])
        return web.json_response({})

    async with endpoint(handler) as url:
        api = UserPoolApi(url)
        for _ in range(5):
            await api.ask("us-east-1", TOKEN)
        await api.close()
    assert len(ports) == 1


async def test_silence_length_and_absence_are_failures_that_quote_nothing() -> None:
    import asyncio

    async def silent(request: web.Request) -> web.Response:
        await asyncio.sleep(0.5)
        return web.Response()

    async def endless(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(status=400)
        await answer.prepare(request)
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                await answer.write(b"hunter2" * 1000)
        return answer

    reasons = []
    for handler, timeout in ((silent, 0.1), (endless, 20.0)):
        async with endpoint(handler) as url:
            with pytest.raises(CheckFailed) as failed:
                await ask(url, timeout)
            reasons.append(failed.value.reason)
            assert "hunter2" not in f"{failed.value!r}"
    with pytest.raises(CheckFailed) as failed:
        await ask("http://127.0.0.1:1")
    assert [*reasons, failed.value.reason] == ["timeout", "status", "unreachable"]


@pytest.mark.parametrize(
    ("region", "url"),
    [
        ("ap-south-1", "https://cognito-idp.ap-south-1.amazonaws.com/"),
        ("eusc-de-east-1", "https://cognito-idp.eusc-de-east-1.amazonaws.eu/"),
    ],
)
def test_the_url_of_the_cognito_api(region: str, url: str) -> None:
    assert UserPoolApi(None).url(region) == url
