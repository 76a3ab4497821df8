"""Trust in client addresses: whether an address is a trusted proxy, and which headers it may send.

Invariant: only addresses in listen.trusted_proxies are trusted.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from gateway.config.model import Config
from gateway.http.cors import CorsPolicy
from gateway.http.forwarded import TrustedProxies
from gateway.http.headers import HeaderTable
from gateway.http.own_cookies import OwnCookies
from gateway.http.request import Peer
from gateway.http.streams import Streams

if TYPE_CHECKING:
    from gateway.gate.tracer import Tracer


# Peers kept for repetition; a client that keeps inventing addresses only makes the cache start over.
_REMEMBERED = 1024


class Peers:
    """Client addresses as one configuration sees them."""

    def __init__(
        self, config: Config, cors: CorsPolicy | None, tracer: Tracer | None, streams: Streams
    ) -> None:
        self._config = config
        self._cors = cors
        self._tracer = tracer
        self._streams = streams
        self._proxies = TrustedProxies(config.listen.trusted_proxies)
        self._tables = _header_tables(config, self._proxies)
        self._upstream_host = _upstream_host(config)
        # Envoy asks about thousands of requests of one client, each with its address.
        self._known: dict[tuple[str, bool], Peer] = {}

    def of(self, address: str, *, secure: bool) -> Peer:
        """Return the peer for an address; `secure`: it uses TLS. Raises ValueError if it is none."""
        known = self._known.get((address, secure))
        if known is None:
            known = self._new(address, secure=secure)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[address, secure] = known
        return known

    def _new(self, address: str, *, secure: bool) -> Peer:
        trusted = self._proxies.trusts(ip_address(address.partition("%")[0]))
        return Peer(
            address=address,
            address_bytes=address.encode("ascii"),
            trusted=trusted,
            proto=b"https" if secure else b"http",
            table=self._tables[trusted],
            upstream_host=self._upstream_host,
            cors=self._cors,
            tracing=self._tracer,
            streams=self._streams,
        )


def _header_tables(config: Config, proxies: TrustedProxies) -> dict[bool, HeaderTable]:
    headers = config.identity_headers
    given = (headers.user, headers.username, headers.email, headers.groups, headers.pool)
    names = [name for name in given if name] + [name for name, _ in headers.claims]
    if headers.assertion is not None:
        names.append(headers.assertion.header)
    traced, signed = config.tracing is not None, config.upstream.sigv4 is not None
    cookies = OwnCookies(config.sign_in.session.cookie_name)
    return {
        trusted: HeaderTable(
            names,
            trusted=trusted,
            rules=config.request_headers,
            traced=traced,
            signed=signed,
            cookies=cookies,
            proxies=proxies,
        )
        for trusted in (False, True)
    }


def host_of(config: Config) -> str:
    """Return the Host header for a request that no client sent."""
    host = _upstream_host(config)
    if host is None:
        # A client's would be the name by which it reached us.
        host = config.upstream.authority.encode("ascii")
    return host.decode("ascii")


def _upstream_host(config: Config) -> bytes | None:
    upstream = config.upstream
    # AWS selects the API by it, and it is signed.
    if upstream.sigv4 is None and upstream.host_header != "upstream":
        return None if upstream.host_header == "preserve" else upstream.host_header.encode("ascii")
    return upstream.authority.encode("ascii")
