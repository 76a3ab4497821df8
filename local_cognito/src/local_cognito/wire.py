"""The HTTP layer: AWS JSON 1.1 on POST /, and each pool's public documents under /{poolId}/.well-known/.

Invariant: every error of the API becomes AWS-shaped JSON, never an HTML page.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from local_cognito import inbox, operations
from local_cognito.callers import caller_of
from local_cognito.errors import AwsError
from local_cognito.hooks import Hooks, middleware
from local_cognito.hooks import add_routes as hook_routes
from local_cognito.iam import wire as iam
from local_cognito.iam.sigv4 import Signed
from local_cognito.oauth import http as oauth
from local_cognito.oauth import registration
from local_cognito.outbox import asked_on_loopback, messages
from local_cognito.state import Pool, State
from local_cognito.table import find, run

LOG = logging.getLogger("local_cognito")

_CONTENT_TYPE = "application/x-amz-json-1.1"
# Far above the largest requests of the API (a pool with all its texts).
_MAX_BODY = 256 * 1024
# AWS Signature Version 4. Without AWS accounts no signature can be verified, but its presence, for this
# service, distinguishes an administrator's call from a public one.
_SIGNATURE = re.compile(
    r"AWS4-HMAC-SHA256 Credential=[^/,\s]+/[0-9]{8}/[^/,\s]+/(?P<service>[\w-]+)/aws4_request, *"
    r"SignedHeaders=[^,\s]+, *Signature=[0-9a-f]{64}"
)


_ENDPOINTS = {
    "authorization_endpoint": "/oauth2/authorize",
    "token_endpoint": "/oauth2/token",
    "userinfo_endpoint": "/oauth2/userInfo",
    "revocation_endpoint": "/oauth2/revoke",
    "end_session_endpoint": "/logout",
}


def application(state: State, clock: Callable[[], float], hooks: Hooks) -> web.Application:
    """Return the server's application over this state. `clock`: epoch seconds, with the hooks' offset."""
    wire = _Wire(state, clock)
    app = web.Application(client_max_size=_MAX_BODY, middlewares=[middleware(hooks)])
    hook_routes(app, state, hooks, clock)
    app.router.add_post("/", wire.api)
    oauth.add_routes(app, state, clock)
    app.router.add_get("/_outbox", wire.outbox)
    app.router.add_get("/_contexts", wire.contexts)
    app.router.add_get("/{pool}/.well-known/jwks.json", wire.jwks)
    app.router.add_get("/{pool}/.well-known/openid-configuration", wire.openid_configuration)
    return app


class _Wire:
    def __init__(self, state: State, clock: Callable[[], float]) -> None:
        self._state = state
        self._clock = clock

    async def api(self, request: web.Request) -> web.Response:
        try:
            # IAM and STS: only their requests are forms.
            if request.content_type == "application/x-www-form-urlencoded":
                return await self._query(request)
            answer = await self._call(request)
        except AwsError as error:
            return _refusal(error)
        except web.HTTPRequestEntityTooLarge:
            return _refusal(AwsError("RequestEntityTooLargeException", "Request is too large", 413))
        except Exception:
            LOG.exception("an operation failed")
            return _refusal(
                AwsError("InternalErrorException", "The local Cognito failed; its log says why", 500)
            )
        return _json(answer)

    async def _call(self, request: web.Request) -> dict[str, Any]:
        prefix, _, name = request.headers.get("X-Amz-Target", "").partition(".")
        service = operations.SERVICES.get(prefix)
        if service is None:
            raise AwsError(
                "UnknownOperationException", "The X-Amz-Target header does not name an operation of Cognito"
            )
        operation = find(service.operations, name)
        if operation.signed:
            _check_signature(request.headers, service.signing_name)
        body = _parse(await request.read())
        await self._keys_made()
        self._state.caller = caller_of(request, signed="Authorization" in request.headers)
        return run(name, operation, self._state, body, self._clock())

    async def _query(self, request: web.Request) -> web.Response:
        headers = {name.lower(): ",".join(request.headers.getall(name)) for name in request.headers}
        status, text = iam.answer(self._state, Signed(headers, await request.read()), self._clock())
        return web.Response(text=text, status=status, content_type="text/xml")

    async def _keys_made(self) -> None:
        """Wait for pools' keys, which operations may need, without blocking the event loop."""
        for pool in list(self._state.pools.values()):
            if not pool.keys.done():
                await asyncio.wrap_future(pool.keys)

    async def outbox(self, request: web.Request) -> web.Response:
        if not asked_on_loopback(request.headers.get("Host", "")):
            return web.json_response({"message": "The outbox answers on loopback names only."}, status=403)
        query = request.query
        found = messages(self._state, query.get("username"), query.get("kind"))
        if "text/html" not in request.headers.get("Accept", ""):
            return web.json_response(found)
        headers = {"Content-Security-Policy": inbox.POLICY, "Cache-Control": "no-store"}
        return web.Response(text=inbox.inbox_page(found), content_type="text/html", headers=headers)

    async def contexts(self, request: web.Request) -> web.Response:
        if not asked_on_loopback(request.headers.get("Host", "")):
            return web.json_response({"message": "The contexts answer on loopback names only."}, status=403)
        return web.json_response(list(self._state.user_contexts))

    async def jwks(self, request: web.Request) -> web.Response:
        pool = self._pool(request)
        if pool is None:
            return _no_such_pool()
        await asyncio.wrap_future(pool.keys)
        published = [jwk for keys in pool.all_keys() for jwk in keys.jwks()["keys"]]
        return web.json_response({"keys": published}, headers={"Cache-Control": "public, max-age=86400"})

    async def openid_configuration(self, request: web.Request) -> web.Response:
        pool = self._pool(request)
        if pool is None:
            return _no_such_pool()
        issuer = self._state.issuer(pool)
        document = {
            "issuer": issuer,
            "jwks_uri": f"{issuer}/.well-known/jwks.json",
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code"],
            "scopes_supported": ["openid", "email", "phone", "profile"],
            "subject_types_supported": ["public"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
        }
        # Without a domain there are no endpoints.
        if pool.domain is not None:
            document |= {name: self._state.url + path for name, path in _ENDPOINTS.items()}
        if registration.enabled(pool):
            # Pools share an address here: with several, each has a path.
            shared = registration.pool_for(self._state, None) is pool
            start = self._state.url if shared else f"{self._state.url}/{pool.id}"
            document["registration_endpoint"] = f"{start}/oauth2/register"
        return web.json_response(document)

    def _pool(self, request: web.Request) -> Pool | None:
        return self._state.pools.get(request.match_info["pool"])


def _check_signature(headers: Mapping[str, str], service: str) -> None:
    authorization = headers.get("Authorization")
    if authorization is None:
        raise AwsError("MissingAuthenticationTokenException", "Missing Authentication Token")
    match = _SIGNATURE.fullmatch(authorization)
    if match is None or match["service"] != service:
        raise AwsError(
            "IncompleteSignatureException", "The Authorization header is not an AWS Signature Version 4"
        )


def _parse(body: bytes) -> dict[str, Any]:
    """Return the request's members. Raises SerializationException unless it is one JSON object."""
    try:
        value = json.loads(body or b"{}")
        # A lone surrogate can be written in JSON but not encoded.
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        raise AwsError("SerializationException", "The body is not valid JSON") from None
    if not isinstance(value, dict):
        raise AwsError("SerializationException", "The body is not a JSON object")
    return value


def _json(
    answer: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    return web.Response(
        body=json.dumps(answer).encode(),
        status=status,
        content_type=_CONTENT_TYPE,
        headers={"x-amzn-RequestId": str(uuid.uuid4()), **(headers or {})},
    )


def _refusal(error: AwsError) -> web.Response:
    body = {"__type": error.type, "message": error.message}
    return _json(body, error.status, {"x-amzn-errortype": f"{error.type}:"})


def _no_such_pool() -> web.Response:
    return web.json_response({"message": "User pool does not exist."}, status=404)
