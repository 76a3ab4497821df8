"""The canonical path of a request target, or a refusal: the first step of every decision.

Servers disagree on what dot segments, encoded slashes, backslashes, doubled slashes, path parameters and
doubly encoded characters mean; a path holding one of these could be judged as one thing here and served as
another there. Such a path is refused, never repaired.

Invariant: `canonical_path(t)` is what every upstream that decodes once sees, and what routes are matched
against; the bytes that are forwarded are the ones that were judged, untouched.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from gateway.errors import AmbiguousPath, BadRequest

# A path without anything to decode or to doubt: segments of RFC 3986 section 3.3 `pchar` less `%` and `;`,
# plus the six printable signs (`"<>^`{|}`) that no server gives a meaning; no empty and no dot segment
# (section 5.2.4) but a last empty one. Possessive by construction: a character fits one place only.
_PLAIN = re.compile(r"""(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~!$&'()*+,=:@"<>^`{|}-]+)*/?""")

# RFC 3986 section 2.1: a percent sign is followed by two hexadecimal digits.
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
# An escape that is left after decoding: decoding twice would change the path again, whichever of its three
# characters were encoded (Istio CVE-2021-31920, Heimdall GHSA-r9fw): stricter than the RFC.
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def split_target(target: str) -> tuple[str, str]:
    """Split an origin-form request target (RFC 9112 section 3.2.1) into raw path and raw query with its `?`.

    Raises BadRequest for a target that is not origin-form or that holds raw bytes no target may hold, and
    for a literal `#`: the fragment is never sent (RFC 9110 section 7.1), servers differ in what they do with
    it (oauth2-proxy CVE-2026-41059, Envoy CVE-2021-32779).
    """
    if not target.startswith("/"):
        raise BadRequest("request target is not in origin-form")
    # RFC 9112 section 3.2: nothing but printable ASCII has a place in a request target, and no space.
    if not target.isascii() or not target.isprintable() or " " in target:
        raise BadRequest("raw byte outside printable ASCII in the request target")
    if "#" in target:
        raise BadRequest("fragment in the request target")
    path, mark, query = target.partition("?")
    return path, mark + query


def canonical_path(raw_path: str) -> str:
    """The decoded path that routes are matched against. Raises AmbiguousPath saying why there is none."""
    if _PLAIN.fullmatch(raw_path):
        return raw_path
    if "\\" in raw_path:
        raise AmbiguousPath("backslash in the path")
    if _BAD_ESCAPE.search(raw_path):
        raise AmbiguousPath("percent sign without two hexadecimal digits")
    # An encoded slash is data to some servers and a separator to others (Envoy CVE-2019-9901 and kin).
    if "%2f" in raw_path.lower():
        raise AmbiguousPath("encoded slash in the path")
    try:
        # Overlong and broken UTF-8 is how `%c0%ae` becomes a dot somewhere: strict only.
        path = unquote_to_bytes(raw_path).decode("utf-8", "strict")
    except UnicodeDecodeError:
        raise AmbiguousPath("percent-encoded bytes are not UTF-8") from None
    if _ESCAPE.search(path):
        raise AmbiguousPath("doubly encoded character in the path")
    if _CONTROL.search(path):
        raise AmbiguousPath("encoded control character in the path")
    if "\\" in path:
        raise AmbiguousPath("encoded backslash in the path")
    # Path parameters: `/admin;x=y` and `/public/..;/admin` (Envoy CVE-2026-73553); encoded ones as well,
    # since servers differ in whether they decode first.
    if ";" in path:
        raise AmbiguousPath("semicolon in the path")
    if "//" in path:
        raise AmbiguousPath("empty segment in the path")
    if any(segment in {".", ".."} for segment in path.split("/")):
        raise AmbiguousPath("dot segment in the path")
    return path
