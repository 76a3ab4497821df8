"""The endpoints that MCP clients call without a browser: metadata, registration and tokens.

Any origin may call these (CORS without credentials): a client may run in a page, and nothing here looks at a
cookie. Invariant: nothing is kept for who registers, and every answer but metadata is `no-store`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from gateway.config.model import Config
from gateway.errors import (
    AuthorizationRefused,
    MalformedForm,
    MethodNotAllowed,
    OAuthRefused,
)
from gateway.http.answers import Answer, HeaderLines, json_answer
from gateway.http.body import read_body, read_form
from gateway.http.headers import value_of
from gateway.http.request import Request
from gateway.http.resource_metadata import WELL_KNOWN as RESOURCE_METADATA
from gateway.http.resource_metadata import metadata
from gateway.mcp import mcp_clients
from gateway.mcp.front_door import FrontDoor
from gateway.mcp.oauth_error import OAuthError
from gateway.policy.routes import RouteTable
from gateway.tokens import strict_json

SERVER_METADATA = "/.well-known/oauth-authorization-server"
OPENID_METADATA = "/.well-known/openid-configuration"
# Bytes of a registration (RFC 7591): names and URIs; logos and contacts are ignored.
_MOST = 16 * 1024
# Clients may miss a change of the configuration for this long.
_KEPT = b"public, max-age=300"
_ANY_ORIGIN = (b"Access-Control-Allow-Origin", b"*")
_NO_STORE = (b"Cache-Control", b"no-store")


class McpEndpoints:
    """The endpoints of one configuration."""

    def __init__(self, config: Config, door: FrontDoor, routes: RouteTable) -> None:
        self._config = config
        self._door = door
        self._routes = routes
        prefix = config.sign_in.prefix
        self._register, self._token = f"{prefix}/register", f"{prefix}/token"
        self._within = config.listen.header_timeout

    def has(self, paths: Sequence[str]) -> bool:
        """Return whether a request has a single reading of its path, and that path is answered here."""
        path = paths[0]
        return len(paths) == 1 and (
            path in {self._register, self._token, OPENID_METADATA}
            or any(
                path == each or path.startswith(f"{each}/") for each in (SERVER_METADATA, RESOURCE_METADATA)
            )
        )

    async def answer(self, request: Request, path: str) -> Answer:
        """Return the answer to a request at one of these paths. Raises Refusal."""
        method = "POST" if path in {self._register, self._token} else "GET"
        if request.method == "OPTIONS":
            answer = _preflight(method)
        elif request.method != method and (request.method, method) != ("HEAD", "GET"):
            refusal = MethodNotAllowed(f"method {request.method} where {method} is meant")
            refusal.allow = f"{method}, OPTIONS" if method == "POST" else "GET, HEAD, OPTIONS"
            raise refusal
        else:
            result = "success"
            try:
                answer = await self._answered(request, path)
            except OAuthError as error:
                self._door.refused(request, error)
                answer, result = error.answer(), error.error
                answer.reason = OAuthRefused.reason
            if path == self._register:
                self._door.count("registration", result)
            elif path == self._token:
                self._door.count("token", result)
        if not request.decision:
            request.decision, request.reason = "allowed", "own_page"
        return _open(answer, request)

    async def _answered(self, request: Request, path: str) -> Answer:
        if path == self._register:
            return json_answer(self._registered(await self._document(request)), status=201)
        if path == self._token:
            return json_answer(await self._tokens(request))
        headers: HeaderLines = [(b"Cache-Control", _KEPT)]
        if path == RESOURCE_METADATA or path.startswith(f"{RESOURCE_METADATA}/"):
            return metadata(request, self._config, self._routes.scopes(path[len(RESOURCE_METADATA) :]))
        return json_answer(self.server_metadata(), headers=headers)

    def server_metadata(self) -> dict[str, object]:
        """Return the document of RFC 8414 section 2."""
        issuer, prefix = self._door.issuer, self._config.sign_in.prefix
        return {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}{prefix}/authorize",
            "token_endpoint": f"{issuer}{prefix}/token",
            "registration_endpoint": f"{issuer}{prefix}/register",
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_methods_supported": ["none"],
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": list(self._door.scopes),
            # RFC 9207 section 3.
            "authorization_response_iss_parameter_supported": True,
            **({"client_id_metadata_document_supported": True} if self._door.takes_documents else {}),
        }

    # --- registration ---

    async def _document(self, request: Request) -> Mapping[str, object]:
        content_type = (value_of(request.head, b"content-type") or b"").partition(b";")[0].strip().lower()
        if content_type != b"application/json":
            raise OAuthError("invalid_client_metadata", "The body must be application/json.")
        data = await read_body(request.body, most=_MOST, within=self._within)
        try:
            document = strict_json.loads(data)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise OAuthError("invalid_client_metadata", "The body is not a JSON object.")
        return document

    def _registered(self, document: Mapping[str, object]) -> dict[str, object]:
        """Answer with what is registered, which may be less than was requested (RFC 7591 section 3.2.1)."""
        name, uris = mcp_clients.registered(document, self._door.mcp.redirect_uris)
        answer: dict[str, object] = {
            "client_id": self._door.register(name, uris),
            "client_id_issued_at": int(time.time()),
            "redirect_uris": uris,
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
        }
        return {**answer, "client_name": name} if name else answer

    # --- tokens ---

    async def _tokens(self, request: Request) -> dict[str, object]:
        content_type = value_of(request.head, b"content-type")
        try:
            fields = await read_form(
                request.body,
                None if content_type is None else content_type.decode("latin-1"),
                within=self._within,
            )
        except MalformedForm:
            raise OAuthError(
                "invalid_request", "The body is not a form in which each field stands once."
            ) from None
        grants = {
            "authorization_code": self._door.issuing.by_code,
            "refresh_token": self._door.issuing.by_refresh_token,
        }
        exchange = grants.get(fields.get("grant_type", ""))
        if exchange is None:
            raise OAuthError(
                "unsupported_grant_type", "grant_type must be authorization_code or refresh_token."
            )
        try:
            client = await self._door.client(fields.get("client_id", ""))
        except AuthorizationRefused:
            raise OAuthError("invalid_client", "The client is not registered here.", status=401) from None
        return await exchange(fields, client)


def _preflight(method: str) -> Answer:
    """Answer a CORS preflight (Fetch standard); clients send MCP-Protocol-Version."""
    headers: HeaderLines = [
        (b"Access-Control-Allow-Methods", method.encode("ascii")),
        (b"Access-Control-Allow-Headers", b"content-type, mcp-protocol-version"),
        (b"Access-Control-Max-Age", b"600"),
    ]
    return Answer(204, headers=headers)


def _open(answer: Answer, request: Request) -> Answer:
    """Allow scripts of every origin, without cookies, to read the answer."""
    present = {name.lower() for name, _ in answer.headers}
    wanted = (_ANY_ORIGIN, _NO_STORE, (b"X-Content-Type-Options", b"nosniff"))
    answer.headers += [header for header in wanted if header[0].lower() not in present]
    answer.headers.append((b"X-Request-Id", request.request_id))
    return answer
