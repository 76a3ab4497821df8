"""The order of the checks: `Checks.judge`, from the first line to the last.

What can be decided without waiting is decided at once; the same steps with a wait in them are `judge_slowly`.

Invariant: a request is forwarded only on a `Forward` made here, after `decide` let it pass; whatever raises
refuses the request.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gateway.client.exchange import Forward
from gateway.config.model import Config
from gateway.errors import (
    InvalidToken,
    MalformedAuthorization,
    NoCredentials,
    NotConfigured,
    NotFound,
)
from gateway.gate.application import Verdict
from gateway.gate.authenticate import Authenticator, Principal, Verification
from gateway.gate.forward_auth import allowed, asks, original, stand_for
from gateway.gate.limits import Limits
from gateway.gate.own_paths import OwnPaths
from gateway.gate.record import Record
from gateway.http import caching
from gateway.http.answers import Answer
from gateway.http.cors import CorsPolicy
from gateway.http.request import Request
from gateway.policy.decide import VALID_TOKEN, Need, decide
from gateway.policy.readings import readings
from gateway.policy.routes import RouteTable
from gateway.serve.aws_signing import UpstreamSigner
from gateway.tokens.bearer import refuse_bare_token, token_hash

if TYPE_CHECKING:
    from gateway.pages.build import Built

# Targets whose route is remembered; clients that ask for ever new ones only make it begin anew.
_REMEMBERED_TARGETS = 4096
# Longer ones are looked up anew each time: 4,096 of the longest heads would be more than 100 MiB.
_REMEMBERED_LENGTH = 256


class Checks:
    """One configuration's verdicts over requests (gate/application.py says what each method promises)."""

    def __init__(
        self,
        config: Config,
        *,
        routes: RouteTable,
        own: OwnPaths,
        authenticator: Authenticator,
        limits: Limits | None,
        portal: Built | None,
        cors: CorsPolicy | None,
        aws: UpstreamSigner | None,
        record: Record,
    ) -> None:
        """None: there is nothing of the kind."""
        self._config = config
        self._routes = routes
        self._own = own
        self._authenticator = authenticator
        self._limits = limits
        self._portal = portal
        self._cors = cors
        self._aws = aws
        self._record = record
        # (method, raw path) → what its route asks for; never of what `judge` answers itself.
        self._asked: dict[tuple[str, str], Need] = {}
        # Where other proxies ask (forward auth).
        self._endpoint = f"{config.sign_in.prefix}/auth"
        self._forward_token = config.upstream.forward_token
        self._vary = caching.vary(cookies=portal is not None)

    def judge(self, request: Request) -> Verdict | Verification | None:
        """The verdict over a request; or a Verification where its token is new, which comes back through
        `judge_verified`; or None where something must be waited for. Raises Refusal."""
        need = self._asked.get((request.method, request.raw_path))  # what is asked
        if need is None:
            if asks(request.raw_path, self._endpoint):
                return self._answer_proxy(request)
            paths = readings(request.raw_path, self._config.paths)
            if self._cors is not None and (preflight := self._cors.preflight(request)) is not None:
                return preflight
            if self._own.hold(paths):  # never proxied, known or not
                if self._limits is not None:
                    self._limits.count_here(request)
                if self._portal is not None and self._own.is_page(paths):
                    return None
                return self._own.answer(request, paths)
            need = self._need(request.method, request.raw_path, paths)
        return self._judge_by(need, request)

    def _judge_by(self, need: Need, request: Request) -> Forward | Verification | None:
        """`judge` where it is known what is asked: by the request's own target, or by one it asks about."""
        if need.auth == "none":  # credentials are not even looked at
            return self._admit(request, need, None)
        credentials = request.credentials
        if not credentials and request.head.own_cookies and self._portal is not None:
            if not self._portal.by_cookie.recognise(request, time.time()):
                return None
            credentials = request.credentials  # the session's token
        principal = digest = None
        if len(credentials) == 1:  # who asks: most often a token verified before
            digest = _hash_of(request, credentials[0])
            principal = self._authenticator.recognise(digest, time.time())
        if principal is None and credentials:
            self._need_pool()
            if self._limits is not None:
                self._limits.suspect(request)
            try:
                verification = self._authenticator.begin(credentials, digest, time.time())
                if self._limits is None and not request.by_cookie:
                    return verification
                verification.prepare()  # at once: what comes of it matters to more than this request
                principal = verification.principal()
            except NoCredentials:
                return self._admit(request, need, None)  # another scheme proves nothing to us
            except (InvalidToken, MalformedAuthorization):
                if request.by_cookie:  # of a pool or client that is not configured any more
                    request.credentials = ()
                    return self._admit(request, need, None)
                self._disproved(request)
                raise
            if principal is None:
                return None
            self._record.proven(request, principal)
        return self._admit(request, need, principal)  # may they

    def judge_verified(self, request: Request, verification: Verification) -> Forward | None:
        """The rest of `judge` (application.Application). Raises Refusal."""
        return self._judge_verified(self.need(request.method, request.raw_path), request, verification)

    def _judge_verified(self, need: Need, request: Request, verification: Verification) -> Forward | None:
        principal = verification.principal()
        if principal is None:
            return None
        self._record.proven(request, principal)
        return self._admit(request, need, principal)

    async def judge_slowly(self, request: Request) -> Verdict:
        """The rest of `judge` where something must be waited for: a page, a key, Redis. Raises Refusal."""
        if request.wire_method is not None:
            return allowed(request, await self.judge_original_slowly(request))
        paths = readings(request.raw_path, self._config.paths)
        if self._portal is not None and self._own.is_page(paths):
            return await self._portal.answer(request, paths[0])
        return await self._judge_slowly_by(self.need(request.method, request.raw_path), request)

    async def _judge_slowly_by(self, need: Need, request: Request) -> Forward:
        """The rest of `_judge_by`."""
        principal = None if need.auth == "none" else await self._who(request)
        if self._limits is not None:
            await self._limits.count_slowly(request, principal)
        return self._decide(request, need, principal)

    async def _who(self, request: Request) -> Principal | None:
        """Who asks, as `_judge_by` finds out, with the waiting. Raises Refusal."""
        if not request.credentials and request.head.own_cookies and self._portal is not None:
            await self._portal.by_cookie.resolve(request)
        credentials, now = request.credentials, time.time()
        if not credentials:
            return None
        digest = _hash_of(request, credentials[0]) if len(credentials) == 1 else None
        principal = self._authenticator.recognise(digest, now)
        if principal is not None:
            return principal
        try:
            principal = await self._authenticator.authenticate(credentials, now)
        except NoCredentials:
            return None
        except InvalidToken:
            if request.by_cookie:
                request.credentials = ()
                return None
            self._disproved(request)
            raise
        self._record.proven(request, principal)
        return principal

    def holds(self, request: Request) -> bool:
        """Of a request that became a tunnel (application.Application)."""
        return self._authenticator.holds(request.credentials, time.time())

    def _disproved(self, request: Request) -> None:
        if self._limits is not None:
            self._limits.disproved(request)

    def need(self, method: str, raw_path: str) -> Need:
        """What the route of this target asks for, whoever serves it. Raises AmbiguousPath."""
        known = self._asked.get((method, raw_path))
        return known or self._need(method, raw_path, readings(raw_path, self._config.paths))

    def _need(self, method: str, raw_path: str, paths: Sequence[str]) -> Need:
        need = self._routes.need(paths, method)
        # `judge` looks at preflights and at what is ours before it comes here.
        kept = not self._own.hold(paths) and (self._cors is None or method != "OPTIONS")
        if kept and len(method) + len(raw_path) <= _REMEMBERED_LENGTH:
            if len(self._asked) >= _REMEMBERED_TARGETS:
                self._asked.clear()
            self._asked[method, raw_path] = need
        return need

    def _admit(self, request: Request, need: Need, principal: Principal | None) -> Forward | None:
        """The decision, or None where Redis must be asked first. Raises Refusal."""
        if self._limits is not None and not self._limits.count(request, principal):
            return None
        return self._decide(request, need, principal)

    def _decide(self, request: Request, need: Need, principal: Principal | None) -> Forward:
        if principal is None and need.auth == "required":
            self._need_pool()
            refuse_bare_token(request.credentials)
        request.principal = principal
        reason = decide(need, principal)
        if need.auth != "none":
            request.vary = self._vary
        if principal is None:
            forward = Forward(b"", "all" if self._forward_token else "other")
        else:
            identity = principal.identity_lines
            # Not for who asks about no request: it would be handed to its own subject, who could go past the
            # routes with it, to an upstream that believes it from anywhere.
            named = request.wire_method is None or request.raw_path != self._endpoint
            if principal.assertion is not None and named:
                identity += principal.assertion.line(time.time())
            forward = Forward(identity, "all" if self._forward_token else "none")
        if self._aws is not None and request.wire_method is None:
            forward = self._aws.forward(request, principal, forward.identity)
        request.decision, request.reason = "allowed", reason
        return forward

    # --- forward auth: the same checks for a request that another proxy serves ---

    def _answer_proxy(self, request: Request) -> Answer | None:
        """The verdict, as an answer to the proxy that asks; None: see `judge_slowly`. Raises Refusal."""
        trusted = request.peer.trusted
        if not trusted and request.raw_path != self._endpoint:
            raise NotFound
        request.wire_method = request.method
        named = original(request, self._endpoint) if trusted else None
        verdict: Verdict | None
        if named is None:
            verdict = self._judge_at_once(VALID_TOKEN, request)
        else:
            stand_for(request, named)
            verdict = self.judge_original(request)
        return None if verdict is None else allowed(request, verdict)

    def judge_original(self, request: Request) -> Verdict | None:
        """The verdict over what a proxy asks about; None: it must be waited for. Raises Refusal."""
        need = self._asked.get((request.method, request.raw_path))
        if need is None:
            paths = readings(request.raw_path, self._config.paths)
            if self._own.hold(paths):
                raise NotFound  # never proxied, whoever proxies
            if self._cors is not None and (preflight := self._cors.preflight(request)) is not None:
                return preflight
            need = self._need(request.method, request.raw_path, paths)
        return self._judge_at_once(need, request)

    def _judge_at_once(self, need: Need, request: Request) -> Forward | None:
        verdict = self._judge_by(need, request)
        if not isinstance(verdict, Verification):
            return verdict
        verdict.prepare()
        return self._judge_verified(need, request, verdict)

    async def judge_original_slowly(self, request: Request) -> Forward:
        """The rest of `_answer_proxy` and `judge_original`."""
        nobodys = asks(request.raw_path, self._endpoint)
        need = VALID_TOKEN if nobodys else self.need(request.method, request.raw_path)
        return await self._judge_slowly_by(need, request)

    def _need_pool(self) -> None:
        if not self._config.cognito.user_pools:
            raise NotConfigured


def _hash_of(request: Request, credential: bytes) -> bytes | None:
    """`token_hash`, once for as long as a client says the same."""
    head = request.head
    hashed, digest = head.hashed
    if hashed is not credential:
        digest = token_hash(credential)
        head.hashed = credential, digest
    return digest
