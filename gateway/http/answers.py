"""The gateway's own responses: refusals (RFC 9457 bodies, RFC 6750 challenges) and small JSON documents.

Invariant: a response holds nothing from the request but its request ID and Host, both validated.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus

from gateway.errors import InsufficientAuthentication, MethodNotAllowed, RateLimited, Refusal

HeaderLines = list[tuple[bytes, bytes]]

# RFC 6750 section 3: the protection space; one for the whole gateway.
REALM = "cognito-gateway"


class Answer:
    """A complete response of the gateway's own, held in memory; not cacheable unless its headers say so."""

    __slots__ = ("body", "close", "content_type", "headers", "reason", "status")

    def __init__(
        self,
        status: int,
        body: bytes = b"",
        *,
        content_type: str | None = None,
        headers: HeaderLines | None = None,
        close: bool = False,
        reason: str = "",
    ) -> None:
        self.status = status
        self.body = body
        self.headers: HeaderLines = headers or []
        self.content_type = content_type or ""
        if content_type is not None:
            self.headers.append((b"Content-Type", content_type.encode("ascii")))
        self.close = close
        # The reason for metrics and logs (errors.Refusal.reason); empty if nothing was refused.
        self.reason = reason


def json_answer(
    value: Mapping[str, object], *, status: int = 200, headers: HeaderLines | None = None
) -> Answer:
    """Return a JSON response, such as RFC 9728 metadata."""
    body = json.dumps(value).encode("ascii") + b"\n"
    return Answer(status, body, content_type="application/json", headers=headers)


def problem(
    refusal: Refusal,
    *,
    request_id: str,
    metadata_url: str | None,
    status: int | None = None,
    help_url: str | None = None,
) -> Answer:
    """Render a refusal as a problem document (RFC 9457).

    `metadata_url` is the RFC 9728 document of this resource, for the challenge. `status` replaces the
    refusal's own for callers that understand only some. `help_url` is a page of the gateway that helps. The
    exact failure, str(refusal), is left to the log.
    """
    title = refusal.title
    if status is None or status == refusal.status:
        status = refusal.status
    else:
        title = HTTPStatus(status).phrase
    body = (
        json.dumps(
            {
                # RFC 9457 section 4.2.1: "about:blank" means no more than the status code.
                "type": "about:blank",
                "title": title,
                "status": status,
                "detail": refusal.detail if help_url is None else f"{refusal.detail} See {help_url}",
                "request_id": request_id,
            }
        ).encode("ascii")
        + b"\n"
    )
    headers: HeaderLines = [(b"Cache-Control", b"no-store"), (b"X-Request-Id", request_id.encode("ascii"))]
    if refusal.challenge:
        headers.append((b"WWW-Authenticate", _challenge(refusal, metadata_url)))
    if refusal.retry_after is not None:
        headers.append((b"Retry-After", b"%d" % refusal.retry_after))
    if help_url is not None:
        # RFC 8288, with HTML's link type: "context-sensitive help".
        headers.append((b"Link", f'<{help_url}>; rel="help"'.encode("ascii")))
    if isinstance(refusal, MethodNotAllowed):
        headers.append((b"Allow", refusal.allow.encode("ascii")))
    if isinstance(refusal, RateLimited):
        headers.append((b"RateLimit", refusal.left.encode("ascii")))
        headers.append((b"RateLimit-Policy", refusal.policy.encode("ascii")))
    return Answer(
        status,
        body,
        content_type="application/problem+json",
        headers=headers,
        close=refusal.close,
        reason=refusal.reason,
    )


def _challenge(refusal: Refusal, metadata_url: str | None) -> bytes:
    """Return the challenge of RFC 6750 section 3, with `resource_metadata` of RFC 9728 section 5.1."""
    parameters = [f'realm="{REALM}"']
    if refusal.error is not None:
        parameters.append(f'error="{refusal.error}"')
        parameters.append(f'error_description="{refusal.detail}"')
    if refusal.scope:
        parameters.append(f'scope="{refusal.scope}"')
    if isinstance(refusal, InsufficientAuthentication):
        # RFC 9470 section 3.
        if refusal.acr_values:
            parameters.append(f'acr_values="{refusal.acr_values}"')
        if refusal.max_age is not None:
            parameters.append(f'max_age="{refusal.max_age}"')
    if metadata_url is not None:
        parameters.append(f'resource_metadata="{metadata_url}"')
    return ("Bearer " + ", ".join(parameters)).encode("ascii")


def render(answer: Answer, *, keep_alive: bool, http10: bool, head_only: bool, more: bytes = b"") -> bytes:
    """Return the response as bytes on the wire.

    `head_only` omits the body, for HEAD; `more` is a run of whole header lines.
    """
    status = answer.status
    lines = b"".join([b"%b: %b\r\n" % header for header in answer.headers]) if answer.headers else b""
    # RFC 9110 section 8.6: a 204 has no Content-Length.
    length = b"" if status == 204 else b"Content-Length: %d\r\n" % len(answer.body)
    return b"HTTP/1.1 %d %b\r\nDate: %b\r\n%b%b%b%b\r\n%b" % (
        status,
        reason_phrase(status),
        http_date(),
        lines,
        more,
        length,
        connection_line(keep_alive=keep_alive, http10=http10),
        b"" if head_only else answer.body,
    )


def redirect(address: str, *, request_id: str) -> Answer:
    """Return a 302 to `address`, a URL of the gateway's, that is not cached (RFC 9110 section 15.4.3)."""
    headers: HeaderLines = [
        (b"Location", address.encode("ascii")),
        (b"Cache-Control", b"no-store"),
        (b"X-Request-Id", request_id.encode("ascii")),
    ]
    return Answer(302, headers=headers)


def private(lines: bytes) -> bytes:
    """Return the gateway's Set-Cookie lines for an upstream response, with a line that forbids caching it.

    RFC 9111 section 7.3: caches do store responses with cookies. Of several directives the strictest applies
    (section 4.2.1), so the upstream's own Cache-Control can stay.
    """
    return lines + b"Cache-Control: no-store\r\n"


def connection_line(*, keep_alive: bool, http10: bool) -> bytes:
    """Return the Connection line; empty where it would state the default (RFC 9112 section 9.3)."""
    if not keep_alive:
        return b"Connection: close\r\n"
    return b"Connection: keep-alive\r\n" if http10 else b""


_PHRASES = {status.value: status.phrase.encode("ascii") for status in HTTPStatus}


def reason_phrase(status: int) -> bytes:
    return _PHRASES.get(status, b"")


class _DateCache:
    """The Date header's value (RFC 9110 section 6.6.1), formatted once per second."""

    def __init__(self) -> None:
        self._second = 0
        self._text = b""

    def now(self) -> bytes:
        second = int(time.time())
        if second != self._second:
            self._second, self._text = second, formatdate(second, usegmt=True).encode("ascii")
        return self._text


http_date = _DateCache().now
