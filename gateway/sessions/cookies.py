"""The gateway's own cookies: parsed from requests, and formatted as Set-Cookie lines. Pure.

All names begin with `sign_in.session.cookie_name`, on https after `__Host-`: a browser accepts such a cookie
only from this very host over TLS (RFC 6265bis section 4.1.3.2). A value that is too long for one cookie is
split; the first part says how many there are.

Invariant: nothing a client sends raises here, and an incomplete value counts as absent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from gateway.http.own_cookies import DEFAULT_NAME

# RFC 6265 section 6.1: browsers keep at least 4096 bytes of name, value and attributes. Our names and
# attributes take up to 150.
_PART = 3900
# 8 parts are 31 KiB, as much as listen.max_header_size allows by default; Cognito's three tokens take 2.
_MOST_PARTS = 8
# RFC 6265 section 4.1.1, cookie-octet, without the optional quotes, which we never write.
_OCTET = rb"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]"
_PAIR = re.compile(rb"([A-Za-z0-9_-]{1,120})=(" + _OCTET + rb"*)")
_COUNTED = re.compile(r"([1-9])\.(.*)")

_HOST_PREFIX = "__Host-"


class Cookies:
    """The gateway's cookies in one request, by their name after the prefix (`session`, …)."""

    def __init__(self, pairs: Sequence[bytes], *, secure: bool, base: str = DEFAULT_NAME) -> None:
        """`pairs` are those of `headers.scan`; `base` is the prefix of all names.

        `secure`: the browser uses https; then a cookie without `__Host-`, which a neighbouring site could
        have set, is ignored.
        """
        self._secure = secure
        values: dict[str, str] = {}
        self._start = start = beginning(base, secure=secure)
        for pair in pairs:
            match = _PAIR.fullmatch(pair)
            if match is not None:
                name = match[1].decode("ascii")
                if name.startswith(start):
                    # RFC 6265 section 5.4: of two cookies with one name, the first has the longer path; ours
                    # all have the same path, so a second one is not ours.
                    values.setdefault(name[len(start) :], match[2].decode("ascii"))
        self._values: Mapping[str, str] = values

    @property
    def secure(self) -> bool:
        return self._secure

    def get(self, name: str) -> str | None:
        return self._values.get(name)

    def names(self, start: str) -> list[str]:
        """Return the names with this prefix, in the order received."""
        return [name for name in self._values if name.startswith(start)]

    def joined(self, name: str) -> str | None:
        """Return a value written by `set_split`, if all its parts are present."""
        first = _COUNTED.fullmatch(self._values.get(name, ""))
        if first is None:
            return None
        parts = [first[2]]
        for number in range(1, int(first[1])):
            part = self._values.get(f"{name}_{number}")
            if part is None:
                return None
            parts.append(part)
        return "".join(parts)

    # --- Set-Cookie lines ---

    def set(self, name: str, value: str, *, max_age: float | None) -> bytes:
        """Return a Set-Cookie line. `max_age` in seconds; None: until the browser closes."""
        return set_cookie(self._start + name, value, secure=self._secure, max_age=max_age)

    def set_split(self, name: str, value: str, *, max_age: float) -> list[bytes]:
        """Return Set-Cookie lines for a value of any length, clearing surplus parts of an earlier one."""
        parts = [value[at : at + _PART] for at in range(0, len(value), _PART)] or [""]
        assert len(parts) <= _MOST_PARTS, "bounded by the caller"
        lines = [self.set(name, f"{len(parts)}.{parts[0]}", max_age=max_age)]
        for number, part in enumerate(parts[1:], 1):
            lines.append(self.set(f"{name}_{number}", part, max_age=max_age))
        stale = [f"{name}_{number}" for number in range(len(parts), _MOST_PARTS)]
        return lines + [self.clear(old) for old in stale if old in self._values]

    def clear(self, name: str) -> bytes:
        """Return a Set-Cookie line that deletes the cookie (RFC 6265 section 3.1)."""
        return set_cookie(self._start + name, "", secure=self._secure, max_age=0)

    def clear_split(self, name: str) -> list[bytes]:
        parts = [f"{name}_{number}" for number in range(1, _MOST_PARTS)]
        return [self.clear(each) for each in (name, *parts) if each in self._values]

    def __repr__(self) -> str:
        return f"<Cookies {', '.join(self._values) or 'none'}>"


def longest() -> int:
    """Return the maximum length of a value for `set_split`."""
    return _PART * _MOST_PARTS


def beginning(base: str, *, secure: bool) -> str:
    """Return the prefix of the full names of our cookies."""
    return f"{_HOST_PREFIX if secure else ''}{base}_"


def set_cookie(name: str, value: str, *, secure: bool, max_age: float | None) -> bytes:
    """Return a whole Set-Cookie line; `name` is the full name.

    HttpOnly hides it from scripts. SameSite=Lax: it is not sent with other sites' POST requests, but with
    links, so that a user who follows one from a mail is still signed in.
    """
    line = f"Set-Cookie: {name}={value}; Path=/; HttpOnly; SameSite=Lax"
    if secure:
        line += "; Secure"
    if max_age is not None:
        line += f"; Max-Age={int(max_age)}"
    return line.encode("ascii") + b"\r\n"
