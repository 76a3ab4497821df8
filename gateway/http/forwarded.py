"""Forwarding headers of trusted proxies, parsed and cleaned: client address, scheme, host. Pure.

Invariant: the address that is believed was written by a trusted proxy, no matter who wrote those before it;
and what is passed on is an address, `http` or `https`, or one host.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple

# RFC 7239 section 6, as found in X-Forwarded-For: an address, optionally with a port, quotes, or brackets
# around IPv6.
_NODE = re.compile(
    r'"?(?:\[([0-9A-Fa-f:.%\w]+)\]|([0-9.]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.%\w]*?))(?::[0-9]{1,5})?"?'
)
# No chain of proxies is longer: the rest was written by a client. The right end counts.
_LONGEST = 2048
# Behind a few proxies the same values repeat; bounded against clients for which they do not.
_REMEMBERED = 1024
_REMEMBERED_LENGTH = 256

# WebSocket schemes mean the same ports and TLS (RFC 6455 section 3).
_SCHEMES = {b"http": b"http", b"https": b"https", b"ws": b"http", b"wss": b"https"}

Network = IPv4Network | IPv6Network


class Chain(NamedTuple):
    """A parsed X-Forwarded-For: the client as far as proxies are trusted, and the value to pass on."""

    client: str | None
    clean: bytes | None


class TrustedProxies:
    """The networks whose forwarding headers are believed, under one configuration."""

    def __init__(self, networks: Iterable[Network] = ()) -> None:
        self._networks = tuple(networks)
        self._chains: dict[bytes, Chain] = {}

    def trusts(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self._networks)

    def chain(self, value: bytes) -> Chain:
        """Parse a trusted peer's X-Forwarded-For; the client is the rightmost untrusted address.

        Whatever stands left of a member that is not an address is of unknown origin and is dropped.
        """
        known = self._chains.get(value)
        if known is None:
            known = self._read(value)
            if len(value) <= _REMEMBERED_LENGTH:
                if len(self._chains) >= _REMEMBERED:
                    self._chains.clear()
                self._chains[value] = known
        return known

    def _read(self, value: bytes) -> Chain:
        members = value[-_LONGEST:].decode("latin-1").split(",")
        if len(value) > _LONGEST:
            members = members[1:]  # the first is truncated
        clean: list[str] = []
        client: str | None = None
        for member in reversed(members):
            address = _address(member.strip())
            if address is None:
                break
            clean.append(str(address))
            if client is None and not self.trusts(address):
                client = str(address)
        if not clean:
            return Chain(None, None)
        return Chain(client or clean[-1], ", ".join(reversed(clean)).encode("ascii"))


def scheme(value: bytes) -> bytes | None:
    """Return the first known scheme in an X-Forwarded-Proto value, which may be a list in any case."""
    if value in {b"http", b"https"}:
        return value
    for member in value[:_LONGEST].lower().split(b",", 16):
        known = _SCHEMES.get(member.strip())
        if known is not None:
            return known
    return None


def _address(text: str) -> IPv4Address | IPv6Address | None:
    found = _NODE.fullmatch(text)
    if found is None:
        return None
    try:
        address = ip_address((found[1] or found[2]).partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
