"""Our cookies: read from what a client sent, written so that only this browser and this site have them. Pure.

All names begin with `sign_in.session.cookie_name`, on https behind `__Host-`: a browser takes such a cookie
only from this very host over TLS (RFC 6265bis section 4.1.3.2). A value that is too long for one cookie is
split; its first part says how many there are.

Invariant: nothing a client sends raises here, and a value that is not whole is no value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from gateway.http.own_cookies import DEFAULT_NAME

# RFC 6265 section 6.1: browsers keep at least 4096 bytes of name, value and attributes. Ours take up to 150.
_PART = 3900
# 8 parts are 31 KiB, as much as listen.max_header_size lets in by default; Cognito's three tokens take 2.
_MOST_PARTS = 8
# RFC 6265 section 4.1.1, cookie-octet, without the quotes around it that we never write.
_OCTET = rb"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]"
_PAIR = re.compile(rb"([A-Za-z0-9_-]{1,120})=(" + _OCTET + rb"*)")
_COUNTED = re.compile(r"([1-9])\.(.*)")

_HOST_PREFIX = "__Host-"


class Cookies:
    """The cookies of ours that one request carries, by their name behind the prefix (`session`, …)."""

    def __init__(self, pairs: Sequence[bytes], *, secure: bool, base: str = DEFAULT_NAME) -> None:
        """`pairs` as `headers.scan` sets them aside; `secure`: the browser sees https, and then a cookie
        without `__Host-`, which a neighbouring site could have planted, is none of ours; `base`: what all
        names begin with."""
        self._secure = secure
        values: dict[str, str] = {}
        self._start = start = beginning(base, secure=secure)
        for pair in pairs:
            match = _PAIR.fullmatch(pair)
            if match is not None:
                name = match[1].decode("ascii")
                if name.startswith(start):
                    # RFC 6265 section 5.4: of two with one name the first has the longer path; ours all
                    # have the same, so a second one is not ours.
                    values.setdefault(name[len(start) :], match[2].decode("ascii"))
        self._values: Mapping[str, str] = values

    @property
    def secure(self) -> bool:
        return self._secure

    def get(self, name: str) -> str | None:
        return self._values.get(name)

    def names(self, start: str) -> list[str]:
        """The names that begin so, in the order they came."""
        return [name for name in self._values if name.startswith(start)]

    def joined(self, name: str) -> str | None:
        """A value that `set_split` wrote, if all of it is here."""
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
        """A Set-Cookie line. `max_age` seconds; None: until the browser closes."""
        return set_cookie(self._start + name, value, secure=self._secure, max_age=max_age)

    def set_split(self, name: str, value: str, *, max_age: float) -> list[bytes]:
        """Set-Cookie lines for a value of any length; parts of a longer one before it are cleared."""
        parts = [value[at : at + _PART] for at in range(0, len(value), _PART)] or [""]
        assert len(parts) <= _MOST_PARTS, "the caller bounds what it stores"
        lines = [self.set(name, f"{len(parts)}.{parts[0]}", max_age=max_age)]
        for number, part in enumerate(parts[1:], 1):
            lines.append(self.set(f"{name}_{number}", part, max_age=max_age))
        stale = [f"{name}_{number}" for number in range(len(parts), _MOST_PARTS)]
        return lines + [self.clear(old) for old in stale if old in self._values]

    def clear(self, name: str) -> bytes:
        """A Set-Cookie line that ends it (RFC 6265 section 3.1)."""
        return set_cookie(self._start + name, "", secure=self._secure, max_age=0)

    def clear_split(self, name: str) -> list[bytes]:
        parts = [f"{name}_{number}" for number in range(1, _MOST_PARTS)]
        return [self.clear(each) for each in (name, *parts) if each in self._values]

    def __repr__(self) -> str:
        return f"<Cookies {', '.join(self._values) or 'none'}>"


def longest() -> int:
    """How long a value `set_split` takes."""
    return _PART * _MOST_PARTS


def beginning(base: str, *, secure: bool) -> str:
    """What the whole name of each of our cookies begins with."""
    return f"{_HOST_PREFIX if secure else ''}{base}_"


def set_cookie(name: str, value: str, *, secure: bool, max_age: float | None) -> bytes:
    """A whole header line; `name` is the whole name. HttpOnly: no script reads it. SameSite=Lax: not sent
    with what other sites post, but with a link from a mail, so that one is still signed in behind it."""
    line = f"Set-Cookie: {name}={value}; Path=/; HttpOnly; SameSite=Lax"
    if secure:
        line += "; Secure"
    if max_age is not None:
        line += f"; Max-Age={int(max_age)}"
    return line.encode("ascii") + b"\r\n"
