"""Answers of our own: refusals rendered once for all (RFC 9457 bodies, RFC 6750 challenges), and small JSON.

Invariant: nothing in an answer comes from the request but its request id and its Host, both checked before.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus

from gateway.errors import InsufficientAuthentication, MethodNotAllowed, RateLimited, Refusal

HeaderLines = list[tuple[bytes, bytes]]

# RFC 6750 section 3: the protection space; one name for all of it.
REALM = "cognito-gateway"


class Answer:
    """A whole answer of ours: small, in memory, never cached by anybody unless it says so."""

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
        # The word for metric and log (errors.Refusal.reason); empty when nothing was refused.
        self.reason = reason


def json_answer(
    value: Mapping[str, object], *, status: int = 200, headers: HeaderLines | None = None
) -> Answer:
    """A JSON document of ours, e.g. RFC 9728 metadata."""
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
    """The one renderer of refusals.

    `metadata_url` is the RFC 9728 document for this resource; challenges carry it. `status` replaces the
    refusal's own for an asker that knows only some. `help_url` is a page of ours that helps. What exactly
    failed is in str(refusal) and stays in the log.
    """
    title = refusal.title
    if status is None or status == refusal.status:
        status = refusal.status
    else:
        title = HTTPStatus(status).phrase
    body = (
        json.dumps(
            {
                # RFC 9457 section 4.2.1: "about:blank" says that the status is all there is to the type.
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
    """RFC 6750 section 3; `resource_metadata` as in RFC 9728 section 5.1."""
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
    """The answer's bytes on the wire. `head_only`: a HEAD request gets the head a GET would get;
    `more`: whole header lines."""
    lines = [
        b"HTTP/1.1 %d %b\r\n" % (answer.status, reason_phrase(answer.status)),
        b"Date: %b\r\n" % http_date(),
    ]
    lines += [b"%b: %b\r\n" % header for header in answer.headers]
    lines.append(more)
    if answer.status != 204:  # RFC 9110 section 8.6: no length stands there
        lines.append(b"Content-Length: %d\r\n" % len(answer.body))
    lines.append(connection_line(keep_alive=keep_alive, http10=http10))
    lines.append(b"\r\n")
    if not head_only:
        lines.append(answer.body)
    return b"".join(lines)


def redirect(address: str, *, request_id: str) -> Answer:
    """To sign in and come back; nobody may remember it (RFC 9110 section 15.4.3). `address` is ours."""
    headers: HeaderLines = [
        (b"Location", address.encode("ascii")),
        (b"Cache-Control", b"no-store"),
        (b"X-Request-Id", request_id.encode("ascii")),
    ]
    return Answer(302, headers=headers)


def private(lines: bytes) -> bytes:
    """Set-Cookie lines of ours for an answer of the upstream's, which no shared cache may keep from now on.

    RFC 9111 section 7.3: caches do store answers with cookies in them. Of several directives the strictest
    holds (section 4.2.1), so what the upstream says about caching can stay where it is.
    """
    return lines + b"Cache-Control: no-store\r\n"


def connection_line(*, keep_alive: bool, http10: bool) -> bytes:
    """RFC 9112 section 9.3: 1.1 persists unless it says close, 1.0 closes unless it says keep-alive."""
    if not keep_alive:
        return b"Connection: close\r\n"
    return b"Connection: keep-alive\r\n" if http10 else b""


def reason_phrase(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode("ascii")
    except ValueError:
        return b""


class _DateCache:
    """RFC 9110 section 6.6.1: one text a second."""

    def __init__(self) -> None:
        self._second = 0
        self._text = b""

    def now(self) -> bytes:
        second = int(time.time())
        if second != self._second:
            self._second, self._text = second, formatdate(second, usegmt=True).encode("ascii")
        return self._text


http_date = _DateCache().now
