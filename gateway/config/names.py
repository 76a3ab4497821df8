"""Parsers of HTTP names and patterns: header names, methods, route paths, prefixes."""

from __future__ import annotations

import re

from gateway.config.scalars import shown
from gateway.config.trusted_names import folded

# RFC 9110 section 5.6.2: token.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_METHOD = re.compile(r"[A-Z][A-Z0-9_-]*", re.ASCII)
# RFC 3986 section 2.3: unreserved characters; others would allow several spellings of the prefix.
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)+", re.ASCII)
_LONGEST = 2048
# Headers that frame or route the message, authenticate its sender, or are written by the gateway (RFC 9110
# sections 6.4, 7.2, 7.6.1, 10.1.1 and 11; RFC 9112 section 6): as identity headers they would break or forge
# a request.
_TAKEN = frozenset(
    [
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "cookie",
        "date",
        "expect",
        "forwarded",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
        "traceparent",
        "tracestate",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-real-ip",
        "x-request-id",
    ]
)


def identity_header(text: str) -> str:
    if not _TOKEN.fullmatch(text) or len(text) > 128:
        raise ValueError(f"{shown(text)} is not a header name")
    if folded(text) in _TAKEN:
        raise ValueError(
            f"{shown(text)} cannot carry an identity: HTTP or the gateway uses this header itself"
        )
    return text


def header_name(text: str) -> str:
    if not _TOKEN.fullmatch(text) or len(text) > 128:
        raise ValueError(f"{shown(text)} is not a header name")
    return text


def passed_header(text: str) -> str:
    header_name(text)
    name = folded(text)
    if name in _TAKEN - {"content-type", "date", "via", "forwarded", "x-real-ip"}:
        raise ValueError(f"{shown(text)} cannot pass: HTTP or the gateway uses this header itself")
    if name.startswith(("x-auth-request-", "x-gateway-jwt-assertion")):
        raise ValueError(f"{shown(text)} cannot pass: upstreams trust it to come from the gateway")
    return text


def claim_name(text: str) -> str:
    if not text or len(text) > 256 or not text.isprintable():
        raise ValueError(f"{shown(text)} is not a claim name")
    return text


def claim_value(text: str) -> str:
    if not text or not text.isprintable():
        raise ValueError(f"{shown(text)} is not a claim value: it is empty or contains a control character")
    return text


def method(text: str) -> str:
    if text in {"CONNECT", "TRACE"}:
        raise ValueError(f"{text} is refused on every path and cannot be routed")
    if _METHOD.fullmatch(text) and len(text) <= 32:
        return text
    if _METHOD.fullmatch(text.upper()):
        raise ValueError(f"{shown(text)} is not a method: write it in upper case, {text.upper()}")
    raise ValueError(f"{shown(text)} is not a method such as GET")


def route_path(text: str) -> str:
    """Parse a pattern in decoded form: literal segments, `*` for one segment, `**` for any number."""
    if not text.startswith("/"):
        raise ValueError(f"{shown(text)} must begin with /")
    if len(text) > _LONGEST:
        raise ValueError(f"{shown(text)} is longer than {_LONGEST} characters")
    if "?" in text or "#" in text:
        raise ValueError(f"{shown(text)} must have no ? and no #: a route matches the path only")
    if "%" in text:
        raise ValueError(f"{shown(text)} must not be percent-encoded: write the character itself")
    if "\\" in text or not text.isprintable():
        raise ValueError(f"{shown(text)} contains a character that no path may have")
    segments = text.split("/")[1:]
    for segment in segments:
        if segment in {".", ".."}:
            raise ValueError(f"{shown(text)} must have no . or .. segment: such requests are refused")
        if "*" in segment and segment not in {"*", "**"}:
            raise ValueError(f"{shown(text)} has * inside a segment: * and ** stand for whole segments")
    if "" in segments[:-1]:
        raise ValueError(f"{shown(text)} has an empty segment (//)")
    return text


def prefix(text: str) -> str:
    if text == "/":
        raise ValueError("'/' would reserve every path: choose a prefix such as /oauth2")
    if not text.startswith("/"):
        raise ValueError(f"{shown(text)} must begin with /")
    if text.endswith("/"):
        raise ValueError(f"{shown(text)} must not end with /")
    if not _PREFIX.fullmatch(text) or {".", ".."} & set(text.split("/")) or len(text) > 256:
        raise ValueError(f"{shown(text)} may only contain letters, digits and - . _ ~ between single slashes")
    return text


def metrics_path(text: str) -> str:
    if text in {"/healthz", "/readyz"}:
        raise ValueError(f"{shown(text)} is the path of a probe: choose another, such as /metrics")
    return prefix(text)
