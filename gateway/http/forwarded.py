"""What trusted proxies say about a client, read once and made clean: its address, its scheme, its host. Pure.

Invariant: an address that is believed was written by a trusted proxy, whoever wrote what stands before it;
and whatever becomes of these headers is an address, `http` or `https`, or one host.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple

# RFC 7239 section 6, as X-Forwarded-For has it in practice: an address, a port behind it, IPv6 in brackets or
# not, quotes around it.
_NODE = re.compile(
    r'"?(?:\[([0-9A-Fa-f:.%\w]+)\]|([0-9.]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.%\w]*?))(?::[0-9]{1,5})?"?'
)
# More than this is no chain of proxies: a client wrote it. The right end counts.
_LONGEST = 2048
# Whoever asks through few proxies says the same again and again; bounded against those that do not.
_REMEMBERED = 1024
_REMEMBERED_LENGTH = 256

# WebSocket's schemes are the same ports and the same TLS (RFC 6455 section 3).
_SCHEMES = {b"http": b"http", b"https": b"https", b"ws": b"http", b"wss": b"https"}

Network = IPv4Network | IPv6Network


class Chain(NamedTuple):
    """An X-Forwarded-For header: the client by our trust, and what may be sent on (None: nothing)."""

    client: str | None
    clean: bytes | None


class TrustedProxies:
    """The networks whose word is believed, under one configuration."""

    def __init__(self, networks: Iterable[Network] = ()) -> None:
        self._networks = tuple(networks)
        self._chains: dict[bytes, Chain] = {}

    def trusts(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self._networks)

    def chain(self, value: bytes) -> Chain:
        """What a trusted peer's X-Forwarded-For says: from the right, the first address of no trusted proxy.

        What stands left of something that is no address was written by nobody we know, and ends there.
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
            members = members[1:]  # cut in two
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
    """X-Forwarded-Proto: the first value that is known, in a list and in any case."""
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
