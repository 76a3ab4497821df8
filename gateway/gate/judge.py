"""The order of the security checks: `Gate.judge`, from its first line to its last, for every way in.

Before it: framing and the size of the head (`RequestReader.next` in client/reader.py), then what the head
says of Host, body and request target (`Request.read_head` in http/request.py); which request another proxy
asks about (`original` in forward_auth.py, `read` in envoy/messages.py). After it: the limit of the body
(`Exchange.prepare` in client/exchange.py, `count` in client/upload.py).

Invariant: a request is forwarded only on a `Forward` made here, after `decide` let it pass; whatever raises
refuses the request.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from gateway.config.model import Config
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

# Targets whose route is remembered; a client that keeps asking for new ones only makes it start over.
_REMEMBERED_TARGETS = 4096
# Longer ones are looked up each time: 4,096 of the longest heads would be more than 100 MiB.
_REMEMBERED_LENGTH = 256


class Gate:
    """One configuration's verdicts over requests."""

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
        """None: not configured. `page` answers what lies under the prefix; `sign` makes verdicts that name a
        signer; `mcp` answers MCP clients."""
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
        self._sealed_at = None if config.mcp is None else config.mcp.path
        # Raw paths, as in `needs`: whether they lie there.
        self._inside: dict[str, bool] = {}
        # (method, raw path) → what its route needs; never of what `judge` answers itself.
        self.needs: dict[tuple[str, str], Need] = {}
        # Where other proxies ask (forward auth).
        self.endpoint = f"{config.sign_in.prefix}/auth"
        self._forward_token = config.upstream.forward_token
        self._vary = caching.vary(cookies=sessions is not None)

    def judge(self, asked: Asked) -> Steps[Verdict]:
        """Return the verdict over one request. Raises Refusal. The only place with this order."""
        request, need = asked.request, asked.need
        named = need is None
        if need is None:  # what is asked
            need = self.needs.get((asked.method, asked.raw_path))
        if need is None:
            paths = readings(asked.raw_path, self._paths)
            ours = self._own.hold(paths)
            if ours and asked.elsewhere:
                raise NotFound  # never proxied, by us or by another proxy
            if ours and self._mcp is not None and self._mcp.has(paths):
                return (yield from self._answer_client(self._mcp, asked, paths[0]))
            if self._cors is not None and (preflight := self._cors.preflight(asked)) is not None:
                return preflight
            if ours:
                return (yield from self._answer(asked, paths))
            need = self._need(asked.method, asked.raw_path, paths)
        principal = None
        if need.auth != "none":  # who is asking; on an open route credentials are not even looked at
            principal = yield from self._who(asked)
        if self._limits is not None and self._limits.count(request, principal):  # how often
            yield partial(self._limits.count_shared, request, principal)
        if principal is None and need.auth == "required":
            if not self._pools:
                raise NotConfigured
            refuse_bare_token(request.credentials)
        return self._forward(request, need, principal, elsewhere=asked.elsewhere, named=named)  # may they

    def _who(self, asked: Asked) -> Steps[Principal | None]:
        """Return who is asking: session or bearer, remembered or verified now. Raises Refusal."""
        request, head = asked.request, asked.head
        sessions = self._sessions if head.own_cookies and not request.credentials else None
        if sessions is not None and not sessions.recognise(asked, time.time()):
            yield partial(sessions.resolve, asked)
        credentials, now = request.credentials, time.time()  # a session's are as good as a client's own
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
        if self._sealed_at is not None and digest is not None:
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
                verification.prepare()  # at once: what comes of it counts for the next request
            principal = verification.principal()
            if principal is None:
                principal = yield verification.finish
            if verification.sealed:
                self._check_resource(asked)
        except NoCredentials:
            return None  # another scheme proves nothing to us
        except (InvalidToken, MalformedAuthorization):
            if request.by_cookie:  # of a pool or client that is not configured any more
                request.credentials = ()
                return None
            if limits is not None:
                limits.disproved(request)
            raise
        self._record.proven(request, principal)
        return principal

    def _check_resource(self, asked: Asked) -> None:
        """Refuse a token of ours outside the resource that it is bound to (RFC 8707). Raises WrongAudience.

        Where no request is named (forward auth), the token is good for none."""
        if asked.need is not None or not self._is_inside(asked.raw_path):
            raise WrongAudience("the token is bound to mcp.resource, and this is another one")

    def _is_inside(self, raw_path: str) -> bool:
        """Return whether a path is that of the resource of MCP clients, or below it, in every reading."""
        known = self._inside.get(raw_path)
        if known is None:
            resource, paths = self._sealed_at, readings(raw_path, self._paths)
            known = all(path == resource or path.startswith(f"{resource}/") for path in paths)
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
        """Answer what lies at a path of ours, known or not. Raises Refusal."""
        is_page = self._page is not None and self._own.is_page(paths)
        # A person opens a page with its files: a limit for programs would refuse the password itself. What
        # costs anything there has limits of its own (pages/attempts.py).
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
        """Return the permission to go on, where `decide` gives it. Raises Refusal."""
        request.principal = principal
        # Conditions are few, and reading the clock costs what the rest of a decision costs.
        reason = decide(need, principal, time.time() if need.conditions else 0.0)
        if need.auth != "none":
            request.vary = self._vary
        if principal is None:
            forward = Forward(b"", "all" if self._forward_token else "other")
        else:
            identity = principal.identity_lines
            # Not for who asks about no request: it would be handed to its own subject, who could go past the
            # routes with it, to an upstream that believes it from anywhere.
            if principal.assertion is not None and named:
                identity += principal.assertion(time.time())
            forward = Forward(identity, "all" if self._forward_token else "none")
        if self._sign is not None and not elsewhere:
            forward = self._sign(request, principal, forward.identity)
        request.decision, request.reason = "allowed", reason
        return forward

    def at_once(self, request: Request) -> Forward | None:
        """Return what `judge` does, where target and token are known and nothing is counted; else None."""
        need = self.needs.get((request.method, request.raw_path))
        if need is None or self._limits is not None:
            return None
        if need.auth == "none":
            return self._forward(request, need, None)
        if len(request.credentials) != 1:
            return None
        digest = _hash_of(request.head, request.credentials[0])
        principal = self._authenticator.recognise(digest, time.time())
        if principal is None:
            if self._sealed_at is None or digest is None or not self._is_inside(request.raw_path):
                return None
            principal = self._authenticator.recognise_sealed(digest, time.time())
        return None if principal is None else self._forward(request, need, principal)

    def holds(self, request: Request) -> bool:
        """Return whether the token that let a request in still would, or has ended since."""
        return self._authenticator.holds(request.credentials, time.time())

    def _need(self, method: str, raw_path: str, paths: Sequence[str]) -> Need:
        """Return what the route of a target needs that is not ours, and that is no preflight."""
        need = self._routes.need(paths, method)
        kept = self._cors is None or method != "OPTIONS"
        if kept and len(method) + len(raw_path) <= _REMEMBERED_LENGTH:
            if len(self.needs) >= _REMEMBERED_TARGETS:
                self.needs.clear()
            self.needs[method, raw_path] = need
        return need


def _hash_of(head: Scanned, credential: bytes) -> bytes | None:
    """Return the `token_hash`, computed once for as long as a client says the same."""
    hashed, digest = head.hashed
    if hashed is not credential:
        digest = token_hash(credential)
        head.hashed = credential, digest
    return digest
