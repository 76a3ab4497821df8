"""The order of the security checks: `Gate.judge`, once, for every kind of request.

Before it: framing and the size of the head (`RequestReader.next` in client/reader.py), then Host, body
framing and request target (`Request.read_head` in http/request.py); and which request another proxy asks
about (`original` in forward_auth.py, `read` in envoy/messages.py). After it: the limit of the body
(`Exchange.prepare` in client/exchange.py, `count` in client/upload.py).

Invariant: a request is forwarded only on a `Forward` made here, after `decide` allowed it; any exception
refuses the request.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from gateway.config.model import Config, Mcp
from gateway.errors import (
    InvalidToken,
    MalformedAuthorization,
    NoCredentials,
    NotConfigured,
    NotFound,
    WrongAudience,
)
from gateway.gate.authenticate import Authenticator
from gateway.gate.limits import Limits
from gateway.gate.own_paths import OwnPaths
from gateway.gate.record import Record
from gateway.gate.steps import Steps
from gateway.gate.verdict import Forward, Verdict
from gateway.http import caching
from gateway.http.answers import Answer
from gateway.http.cors import CorsPolicy
from gateway.http.headers import Scanned
from gateway.http.request import Asked, Request
from gateway.policy.decide import Need, decide
from gateway.policy.readings import readings
from gateway.policy.routes import RouteTable
from gateway.tokens.bearer import refuse_bare_token, token_hash
from gateway.tokens.principal import Principal

if TYPE_CHECKING:
    from gateway.mcp.endpoints import McpEndpoints
    from gateway.sessions.from_cookie import ByCookie

# Targets whose route is cached; a client that keeps inventing new ones only makes the cache start over.
_REMEMBERED_TARGETS = 4096
# Longer targets are not cached: 4,096 of the longest heads would take more than 100 MiB.
_REMEMBERED_LENGTH = 256


class Gate:
    """Judges requests under one configuration."""

    def __init__(
        self,
        config: Config,
        *,
        routes: RouteTable,
        own: OwnPaths,
        authenticator: Authenticator,
        record: Record,
        limits: Limits | None = None,
        cors: CorsPolicy | None = None,
        sessions: ByCookie | None = None,
        page: Callable[[Request, str], Awaitable[Answer]] | None = None,
        sign: Callable[[Request, Principal | None, bytes], Forward] | None = None,
        mcp: McpEndpoints | None = None,
    ) -> None:
        """Arguments that are None are not configured.

        `page` answers paths under the prefix; `sign` makes verdicts that name a signer; `mcp` answers MCP
        clients.
        """
        self._pools = config.cognito.user_pools
        self._paths = config.paths
        self._routes = routes
        self._own = own
        self._authenticator = authenticator
        self._record = record
        self._limits = limits
        self._cors = cors
        self._sessions = sessions
        self._page = page
        self._sign = sign
        self._mcp = mcp
        # Where tokens of ours may be used; None: nowhere, for there are none.
        self._front_door = config.mcp if config.mcp is not None and config.mcp.signs_in else None
        # Raw paths, as in `needs`: whether they lie there.
        self._inside: dict[str, bool] = {}
        # (method, raw path) → what its route needs; never for what `judge` answers itself.
        self.needs: dict[tuple[str, str], Need] = {}
        # The path for forward auth.
        self.endpoint = f"{config.sign_in.prefix}/auth"
        self._forward_token = config.upstream.forward_token
        self._vary = caching.vary(cookies=sessions is not None)

    def judge(self, asked: Asked) -> Steps[Verdict]:
        """Return the verdict on one request. Raises Refusal. The only place with this order."""
        request, need = asked.request, asked.need
        named = need is None
        if need is None:  # what is asked
            need = self.needs.get((asked.method, asked.raw_path))
        if need is None:
            paths = readings(asked.raw_path, self._paths)
            ours = self._own.hold(paths)
            if ours and asked.elsewhere:
                raise NotFound  # never proxied, by this or another proxy
            if ours and self._mcp is not None and self._mcp.has(paths):
                return (yield from self._answer_client(self._mcp, asked, paths[0]))
            if self._cors is not None and (preflight := self._cors.preflight(asked)) is not None:
                return preflight
            if ours:
                return (yield from self._answer(asked, paths))
            need = self._need(asked.method, asked.raw_path, paths)
        principal = None
        if need.auth != "none":  # who is asking; on an open route credentials are ignored
            principal = yield from self._who(asked)
        if self._limits is not None and self._limits.count(request, principal):  # how often
            yield partial(self._limits.count_shared, request, principal)
        if principal is None and need.auth == "required":
            if not self._pools:
                raise NotConfigured
            refuse_bare_token(request.credentials)
        return self._forward(request, need, principal, elsewhere=asked.elsewhere, named=named)  # may they

    def _who(self, asked: Asked) -> Steps[Principal | None]:
        """Return who is asking: by session or bearer token, cached or verified now. Raises Refusal."""
        request, head = asked.request, asked.head
        sessions = self._sessions if head.own_cookies and not request.credentials else None
        if sessions is not None and not sessions.recognise(asked, time.time()):
            yield partial(sessions.resolve, asked)
        credentials, now = request.credentials, time.time()  # a session's are treated like a client's own
        if not credentials:
            return None
        digest = _hash_of(head, credentials[0]) if len(credentials) == 1 else None
        principal = self._authenticator.recognise(digest, now)
        if principal is None:
            principal = yield from self._proven(asked, digest, now)
        return principal

    def _proven(self, asked: Asked, digest: bytes | None, now: float) -> Steps[Principal | None]:
        """Return whom credentials prove that are not simply remembered. Raises Refusal."""
        request, limits, credentials = asked.request, self._limits, asked.request.credentials
        if self._front_door is not None and digest is not None:
            principal = self._authenticator.recognise_sealed(digest, now)
            if principal is not None:
                self._check_resource(asked)
                return principal
        if not self._pools:
            raise NotConfigured
        if limits is not None:
            limits.suspect(request)
        try:
            verification = self._authenticator.begin(credentials, digest, now)
            if limits is None:
                yield verification
            else:
                verification.prepare()  # at once: a bad token counts for the next request
            principal = verification.principal()
            if principal is None:
                principal = yield verification.finish
            if verification.sealed:
                self._check_resource(asked)
        except NoCredentials:
            return None  # another scheme proves nothing here
        except (InvalidToken, MalformedAuthorization):
            if request.by_cookie:  # of a pool or client no longer configured
                request.credentials = ()
                return None
            if limits is not None:
                limits.disproved(request)
            raise
        self._record.proven(request, principal)
        return principal

    def _check_resource(self, asked: Asked) -> None:
        """Refuse a token of ours outside the resource that it is bound to (RFC 8707). Raises WrongAudience.

        Where no request is named (forward auth), the token is good for none. What another proxy serves at
        another host is another API; this gateway itself has one upstream, by whatever name it is called."""
        door = self._front_door
        if door is None or asked.need is not None or not self._is_inside(door, asked.raw_path):
            raise WrongAudience("the token is bound to mcp.resource, and this is another one")
        if asked.elsewhere and not door.is_at(asked.host):
            raise WrongAudience("the token is bound to the host of mcp.resource, and this is another one")

    def _is_inside(self, door: Mcp, raw_path: str) -> bool:
        """Return whether a path is that of the resource of MCP clients, or below it, in every reading."""
        known = self._inside.get(raw_path)
        if known is None:
            known = all(map(door.covers, readings(raw_path, self._paths)))
            if len(raw_path) <= _REMEMBERED_LENGTH:
                if len(self._inside) >= _REMEMBERED_TARGETS:
                    self._inside.clear()
                self._inside[raw_path] = known
        return known

    def _answer_client(self, mcp: McpEndpoints, asked: Asked, path: str) -> Steps[Answer]:
        """Answer an MCP client, whatever page it runs in. Raises Refusal."""
        if self._limits is not None:
            self._limits.count_here(asked.request)
        answer: Answer = yield partial(mcp.answer, asked.request, path)
        return answer

    def _answer(self, asked: Asked, paths: Sequence[str]) -> Steps[Answer]:
        """Answer a request to a path of the gateway's own. Raises Refusal."""
        is_page = self._page is not None and self._own.is_page(paths)
        # A page is opened together with its files: the limit for programs would refuse the password itself.
        # Costly pages have separate limits (pages/attempts.py).
        if self._limits is not None and (asked.request.credentials or not is_page):
            self._limits.count_here(asked.request)
        if self._page is not None and is_page:
            answer: Answer = yield partial(self._page, asked.request, paths[0])
            return answer
        return self._own.answer(asked, paths)

    def _forward(
        self,
        request: Request,
        need: Need,
        principal: Principal | None,
        *,
        elsewhere: bool = False,
        named: bool = True,
    ) -> Forward:
        """Return the permission to forward, if `decide` grants it. Raises Refusal."""
        request.principal = principal
        # Conditions are rare, and reading the clock costs as much as the rest of the decision.
        reason = decide(need, principal, time.time() if need.conditions else 0.0)
        if need.auth != "none":
            request.vary = self._vary
        if principal is None:
            forward = Forward(b"", "all" if self._forward_token else "other")
        else:
            identity = principal.identity_lines
            # Not where no request was named: the response goes to the token's own subject, who could use the
            # assertion to bypass the routes of an upstream that accepts it from anywhere.
            if principal.assertion is not None and named:
                identity += principal.assertion(time.time())
            forward = Forward(identity, "all" if self._forward_token else "none")
        if self._sign is not None and not elsewhere:
            forward = self._sign(request, principal, forward.identity)
        request.decision, request.reason = "allowed", reason
        return forward

    def at_once(self, request: Request, asked: Asked | None = None) -> Forward | None:
        """Return what `judge` would, if target and token are cached and nothing is counted; else None.

        `asked`: the request that another proxy asks about; None: the request itself.
        """
        about = asked or request
        need = self.needs.get((about.method, about.raw_path))
        if need is None or self._limits is not None:
            return None
        if need.auth == "none":
            return self._forward(request, need, None, elsewhere=asked is not None)
        if len(request.credentials) != 1:
            return None
        digest = _hash_of(request.head, request.credentials[0])
        principal = self._authenticator.recognise(digest, time.time())
        if principal is None:
            # What another proxy serves may be at another host: `_check_resource` knows.
            door = self._front_door
            if door is None or digest is None or asked is not None:
                return None
            if not self._is_inside(door, request.raw_path):
                return None
            principal = self._authenticator.recognise_sealed(digest, time.time())
        if principal is None:
            return None
        return self._forward(request, need, principal, elsewhere=asked is not None)

    def holds(self, request: Request) -> bool:
        """Return whether the token of an accepted request is still accepted, or has expired since."""
        return self._authenticator.holds(request.credentials, time.time())

    def _need(self, method: str, raw_path: str, paths: Sequence[str]) -> Need:
        """Return what the route of a target needs, which is neither ours nor a preflight's."""
        need = self._routes.need(paths, method)
        kept = self._cors is None or method != "OPTIONS"
        if kept and len(method) + len(raw_path) <= _REMEMBERED_LENGTH:
            if len(self.needs) >= _REMEMBERED_TARGETS:
                self.needs.clear()
            self.needs[method, raw_path] = need
        return need


def _hash_of(head: Scanned, credential: bytes) -> bytes | None:
    """Return the `token_hash`, computed once while a client repeats itself."""
    hashed, digest = head.hashed
    if hashed is not credential:
        digest = token_hash(credential)
        head.hashed = credential, digest
    return digest
