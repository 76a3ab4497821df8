"""The canonical path of a request target, or a refusal: the first step of every decision. Pure.

Servers disagree about dot segments, encoded slashes, backslashes, double slashes, path parameters and doubly
encoded characters; a path with one of these could be judged as one thing here and served as another there.
Such a path is refused, never repaired; where `paths:` lets some of it through, readings.py considers
everything it may mean.

Invariant: `canonical_path(t)` is what every upstream that decodes once sees, and what routes are matched
against; the bytes forwarded are those that were judged, unchanged.
"""

from __future__ import annotations

import re

from gateway.config.model import Paths
from gateway.errors import AmbiguousPath, BadRequest, BadTarget
from gateway.policy.percent import unquoted

# The characters of a path with nothing to decode and nothing ambiguous: RFC 3986 section 3.3 `pchar` less `%`
# and `;`, plus the printable characters (`"<>^`{|}`) that no server interprets.
_PLAIN = b"""/ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~!$&'()*+,=:@"<>^`{|}-"""
# RFC 3986 section 5.2.4.
_DOT_SEGMENT = re.compile(r"/\.{1,2}(?:/|\Z)")
_CONTROLS = bytes([*range(0x20), 0x7F])
# An escape left after decoding: decoding twice would change the path again, whichever of its three characters
# were encoded (Istio CVE-2021-31920, Heimdall GHSA-r9fw). Stricter than the RFC.
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
# Stand for separators that were encoded and are read as data. Control characters are refused, encoded or not,
# so nothing else becomes one of these; no route contains them, so only wildcards match an encoded slash.
SLASH, BACKSLASH, SEMICOLON = "\x01", "\x02", "\x03"
_MARKS = (("%2F", "%2f", SLASH), ("%5C", "%5c", BACKSLASH), ("%3B", "%3b", SEMICOLON))

NOTHING_PASSES = Paths(encoded_slash="reject", double_slash="reject", semicolon="reject")


def split_target(target: str) -> tuple[str, str]:
    """Split an origin-form request target (RFC 9112 section 3.2.1) into raw path and raw query with its `?`.

    Raises BadRequest if the target is not origin-form, and BadTarget for raw bytes that no target may contain
    and for a literal `#`: the fragment is never sent (RFC 9110 section 7.1), and servers differ in what they
    do with one (oauth2-proxy CVE-2026-41059, Envoy CVE-2021-32779).
    """
    if not target.startswith("/"):
        raise BadRequest("request target is not in origin-form")
    # RFC 9112 section 3.2: a request target is printable ASCII without spaces.
    if not target.isascii() or not target.isprintable() or " " in target:
        raise BadTarget("raw byte outside printable ASCII in the request target")
    if "#" in target:
        raise BadTarget("fragment in the request target")
    path, mark, query = target.partition("?")
    return path, mark + query


def canonical_path(raw_path: str) -> str:
    """Return the one path that every server reads here. Raises AmbiguousPath saying why there is none."""
    if is_plain(raw_path):
        return raw_path
    path = decoded(raw_path, NOTHING_PASSES)
    refuse_reading(path, NOTHING_PASSES)
    return path


def is_plain(raw_path: str) -> bool:
    """Return whether the path has nothing to decode and nothing ambiguous.

    Only whole-string operations: a head holds up to 14,000 segments, and matching each costs as much as ten
    requests.
    """
    if not raw_path.isascii() or raw_path.encode("ascii").translate(None, _PLAIN):
        return False
    # No empty segment except the last.
    if "//" in raw_path or raw_path[:1] not in {"", "/"}:
        return False
    return "/." not in raw_path or _DOT_SEGMENT.search(raw_path) is None


def decoded(raw_path: str, paths: Paths) -> str:
    """Decode the path once; encoded separators become `SLASH`, `BACKSLASH` and `SEMICOLON`.

    Raises AmbiguousPath for what `paths` does not let through.
    """
    if "\\" in raw_path:
        raise AmbiguousPath("backslash in the path")
    try:
        data = unquoted(raw_path)
    except ValueError as bad:
        raise AmbiguousPath(str(bad)) from None
    if len(data.translate(None, _CONTROLS)) != len(data):
        # In the raw path there are none (`split_target`).
        raise AmbiguousPath("encoded control character in the path")
    marked = _marked(raw_path, data)
    if paths.encoded_slash == "reject":
        # An encoded slash is data to some servers and a separator to others (Envoy CVE-2019-9901 and
        # similar).
        if SLASH in marked:
            raise AmbiguousPath("encoded slash in the path")
        if BACKSLASH in marked:
            raise AmbiguousPath("encoded backslash in the path")
    try:
        # Overlong and invalid UTF-8 is how `%c0%ae` becomes a dot in some servers: strict only.
        path = (data if marked is raw_path else unquoted(marked)).decode("utf-8", "strict")
    except UnicodeDecodeError:
        raise AmbiguousPath("percent-encoded bytes are not UTF-8") from None
    if "%" in path and _ESCAPE.search(path):
        raise AmbiguousPath("doubly encoded character in the path")
    # Path parameters: `/admin;x=y` and `/public/..;/admin` (Envoy CVE-2026-73553); encoded ones too, since
    # servers differ in whether they decode first.
    if paths.semicolon == "reject" and (";" in path or SEMICOLON in path):
        raise AmbiguousPath("semicolon in the path")
    return path


def _marked(raw_path: str, data: bytes) -> str:
    """Return the path with marks for encoded separators; the same object if there are none.

    `data` is the decoded path. Single characters are counted in it, because a search for `%2f` stops at each
    of thousands of `%`.
    """
    same = data.count(b"/") == raw_path.count("/") and data.count(b";") == raw_path.count(";")
    if same and b"\\" not in data:
        return raw_path
    for upper, lower, mark in _MARKS:
        raw_path = raw_path.replace(upper, mark).replace(lower, mark)
    return raw_path


def refuse_reading(path: str, paths: Paths) -> None:
    """Raise AmbiguousPath for a decoded path that no switch lets through, or that these switches do not."""
    # What these resolve to depends on the server, and on when it decodes: no switch lets them through.
    if "/." in path and _DOT_SEGMENT.search(path):
        raise AmbiguousPath("dot segment in the path")
    # RFC 3986 section 4.2: to a parser of URL references, a host follows the leading `//`.
    if path.startswith("//"):
        raise AmbiguousPath("two slashes at the beginning of the path")
    if paths.double_slash == "reject" and "//" in path:
        raise AmbiguousPath("empty segment in the path")
