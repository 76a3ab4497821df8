"""The record of each request: metrics, log records and the text of refusals.

Invariant: every request that began is counted once when it ends, however it ended; and log lines about
repeated refusals are bounded (refusals.py).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from gateway.config.model import Mcp
from gateway.errors import (
    BadRequest,
    Forbidden,
    InsufficientAuthentication,
    NoCredentials,
    NotConfigured,
    OriginalRequestUnclear,
    Refusal,
    UpstreamUnreachable,
)
from gateway.gate.forward_auth import status_for_proxy
from gateway.gate.refusals import WINDOW, Refusals, Sender
from gateway.http.answers import Answer, problem, redirect
from gateway.http.request import Asked, Request
from gateway.http.resource_metadata import metadata_url, public_origin
from gateway.observe.logs import DOCTOR, Logger
from gateway.observe.metrics import WorkerMetrics, method_label
from gateway.policy.rate import MAX_NAME, address_key
from gateway.tokens.principal import Principal

if TYPE_CHECKING:
    from gateway.gate.tracer import Tracer

_log = logging.getLogger(__name__)

# The resolution of the sampled share (log.sample).
_SHARES = 1 << 20
# nginx's status for a client that disconnected before the response; it is never sent.
CLIENT_GONE = 499


class ForPeople(NamedTuple):
    """What the pages offer a person who is refused; each returns None if no person is looking."""

    # Where to send a person who is not signed in, or a gateway without a pool.
    sign_in_at: Callable[[Asked, NoCredentials | NotConfigured], str | None]
    # Where to send a person whose sign-in is too old or too weak for the route (RFC 9470).
    sign_in_again_at: Callable[[Asked, InsufficientAuthentication], str | None]
    # The portal's URL, for programs that find a gateway without a user pool.
    portal_at: Callable[[Request | Asked], str | None]
    # The refusal as a page, in place of the response for programs.
    page_of: Callable[[Request, Refusal, Answer], Answer | None]


class Record:
    """Records the requests of one configuration in metrics and log."""

    def __init__(
        self,
        metrics: WorkerMetrics,
        log: Logger,
        *,
        public_url: str | None,
        mcp: Mcp | None = None,
        tracer: Tracer | None = None,
        people: Callable[[], ForPeople | None] = lambda: None,
    ) -> None:
        """`people` is called at each refusal, because the pages are built later; None: there are no pages."""
        # Requests in progress; while there are any, a replaced gateway is not stopped.
        self.in_flight = 0
        self._metrics = metrics
        self._log = log
        self._public_url = public_url
        self._mcp = mcp
        self._refusals = Refusals()
        self._hint: str | None = DOCTOR
        # None: no tracing.
        self._tracer = tracer
        self._people = people

    def began(self, request: Request) -> None:
        self.in_flight += 1
        self._metrics.requests_in_flight += 1

    def refuse(self, request: Request, refusal: Refusal) -> Answer:
        """Render a refusal, and log the exact reason, which the client does not get."""
        request_id = request.request_id.decode("ascii")
        if refusal.limit is not None:
            self.limited(refusal.limit)
        if request.decision:
            request.failure = refusal.reason
            hint = None
            if isinstance(refusal, UpstreamUnreachable):
                hint, self._hint = self._hint, None
            # Clients can repeat their own mistakes any number of times.
            if refusal.status >= 500 or self._refusals.admits(_sender(request), time.monotonic()):
                self._log.event(
                    "request_failed",
                    level="warning",
                    request_id=request_id,
                    client=request.client,
                    reason=refusal.reason,
                    exact=str(refusal),
                    hint=hint,
                )
        else:
            request.decision = "error" if refusal.status >= 500 else "refused"
            request.reason = refusal.reason
            self._log_refusal(request, refusal)
        address = self._address(request.original or request.asked(), refusal)
        if address is not None:
            return redirect(address, request_id=request_id)
        answer = problem(
            refusal,
            request_id=request_id,
            metadata_url=metadata_url(request.original or request, self._public_url, self._mcp),
            status=None if request.original is None else status_for_proxy(refusal),
            help_url=self._help(request, refusal),
        )
        people = self._people()
        if request.original is not None or people is None:
            return answer
        return people.page_of(request, refusal, answer) or answer

    def _address(self, asked: Asked, refusal: Refusal) -> str | None:
        """Return where a person is redirected instead of being refused."""
        people = self._people()
        if people is None or not asked.redirects:
            return None
        address = None
        if isinstance(refusal, (NoCredentials, NotConfigured)):
            address = people.sign_in_at(asked, refusal)
        elif isinstance(refusal, InsufficientAuthentication):
            address = people.sign_in_again_at(asked, refusal)
        if address is not None and asked.elsewhere:
            # Traefik takes a path for one of the server that it asked.
            return (public_origin(asked, self._public_url) or "") + address
        return address

    def _help(self, request: Request, refusal: Refusal) -> str | None:
        people = self._people()
        if people is None or not isinstance(refusal, NotConfigured):
            return None
        return people.portal_at(request.original or request)

    def _log_refusal(self, request: Request, refusal: Refusal) -> None:
        """Log what the client did wrong, or lacked, within the limits of refusals.py."""
        wrong, forbidden = (
            isinstance(refusal, (BadRequest, OriginalRequestUnclear)),
            isinstance(refusal, Forbidden),
        )
        if not (wrong or forbidden or refusal.challenge):
            return
        if not self._refusals.admits(_sender(request), time.monotonic()):
            return
        reason, exact = refusal.reason, str(refusal)
        request_id = request.request_id.decode("ascii")
        if isinstance(refusal, Forbidden):
            self._denied(request, refusal)
        elif not self._sampled(request):
            return
        elif wrong:
            self._log.event(
                "request_refused", request_id=request_id, client=request.client, reason=reason, exact=exact
            )
        else:
            self._log.event(
                "auth_failure", request_id=request_id, client=request.client, reason=reason, exact=exact
            )

    def _denied(self, request: Request, refusal: Forbidden) -> None:
        """Log a known principal's request for something it may not access."""
        claims = None if request.principal is None else request.principal.claims
        self._log.event(
            "auth_denied",
            request_id=request.request_id.decode("ascii"),
            client=request.client,
            pool=None if claims is None else claims.pool_id,
            subject=None if claims is None else claims.subject,
            reason=refusal.reason,
            exact=str(refusal),
        )

    def limited(self, key: str) -> None:
        """Count a limit that was reached; `key` is its name in the configuration."""
        self._metrics.limits_reached[key] += 1

    def proven(self, request: Request, principal: Principal) -> None:
        """Log the first verification of a token, as part of the access log."""
        if self._log.access_enabled:
            self._log.event(
                "auth_success",
                request_id=request.request_id.decode("ascii"),
                client=request.client,
                pool=principal.claims.pool_id,
                subject=principal.claims.subject,
            )

    def failed(self, request: Request, error: Exception) -> None:
        """Log the traceback of a bug; the client gets a 500."""
        _log.error("request %s failed", request.request_id.decode("ascii"), exc_info=error)

    def ended(self, request: Request) -> None:
        """Count and log a request that is over, however it ended."""
        self.in_flight -= 1
        if not request.decision:
            # The client was gone before a decision: not an error of ours that an alert should count.
            request.decision, request.reason = "refused", "client_gone"
        metrics = self._metrics
        seconds = time.monotonic() - request.started
        status = request.status or CLIENT_GONE
        metrics.requests_in_flight -= 1
        about = request.original or request
        metrics.requests[(method_label(about.method), status)] += 1
        metrics.request_duration.observe(seconds)
        metrics.auth_decisions[(request.decision, request.reason)] += 1
        if request.failure and request.failure.startswith("upstream_"):
            metrics.upstream_errors[request.failure] += 1
        if request.upstream_seconds is not None:
            metrics.upstream_duration.observe(request.upstream_seconds)
        if self._log.access_enabled and self._chosen(request, status):
            self._log_access(request, status, seconds)
        if self._tracer is not None:
            self._tracer.ended(request, status, seconds)

    def _chosen(self, request: Request, status: int) -> bool:
        """Return whether the request's access line is written; failures always are."""
        if request.decision == "refused" or (request.failure and status < 500):
            sender, now = _sender(request), time.monotonic()
            if not self._refusals.admits(sender, now):
                self._refusals.missed(sender, request.failure or request.reason or "", now)
                return False
            return request.decision != "refused" or self._sampled(request)
        if status >= 400 or request.failure:
            return True
        return self._sampled(request)

    def _sampled(self, request: Request) -> bool:
        """Return whether an ordinary request is in the sample; the same for all its lines."""
        share = self._log.access_share
        # Python's hash is keyed per process: nobody can choose an ID that is never logged.
        return share == 1.0 or hash(request.request_id) % _SHARES < share * _SHARES

    def sum_up(self, now: float) -> None:
        """Log the refusals without individual lines whose window is over."""
        for sender, requests, reasons in self._refusals.over(now):
            pool, name = sender
            self._log.event(
                "refusals_repeated",
                client=name if pool is None else None,
                pool=pool,
                subject=None if pool is None else name,
                requests=requests,
                reasons=reasons,
                seconds=WINDOW,
            )

    def _log_access(self, request: Request, status: int, seconds: float) -> None:
        principal, about = request.principal, request.original or request
        waited = request.upstream_seconds
        self._log.access(
            request_id=request.request_id.decode("ascii"),
            client=request.client,
            method=about.method or "-",
            path=about.raw_path or "-",
            status=status,
            duration_ms=seconds * 1000,
            request_bytes=request.request_bytes,
            response_bytes=request.response_bytes,
            upstream_ms=None if waited is None else waited * 1000,
            subject=None if principal is None else principal.claims.subject,
            pool=None if principal is None else principal.claims.pool_id,
            decision=request.decision,
            reason=request.failure or request.reason,
        )


def _sender(request: Request) -> Sender:
    """Return whose refusals are counted together: a principal's, from any address, else an address's."""
    if request.principal is None:
        return None, address_key(request.client)
    claims = request.principal.claims
    return claims.pool_id, claims.subject[:MAX_NAME]
