"""Client ID metadata documents: the client ID is the URL of a document that describes the client.

Specification: draft-ietf-oauth-client-id-metadata-document. Any client can cause a fetch, so only hosts that
the operator lists are contacted, and never at a private address. Invariant: a fetch goes to port 443
of a public address under TLS with the listed name, follows no redirect, and is bounded in bytes, in time and
in number.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from ipaddress import IPv6Address, IPv6Network, ip_address
from socket import AF_INET, AF_INET6, AF_UNSPEC, AI_NUMERICHOST, SOCK_STREAM, AddressFamily
from urllib.parse import urlsplit

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult

from gateway.errors import AuthorizationRefused
from gateway.mcp.mcp_clients import McpClient, document_client
from gateway.policy.rate import Buckets, RateRule
from gateway.tls.outgoing_context import client_context
from gateway.tokens import strict_json
from gateway.version import VERSION

# Bytes (the draft advises 5 KB) and seconds (a user is waiting).
_MOST, TIMEOUT = 16 * 1024, 5.0
_PORT = 443
# Seconds for which a document and a failure are cached.
_KEPT, _FAILED = 600.0, 30.0
# Documents and failures cached, whatever clients ask for.
_MOST_KEPT = 256
# Fetches from one host: one a second, and ten at once. Real clients have one document each.
_FETCHES = RateRule(1.0, 10)
# Addresses that embed an IPv4 address: NAT64 (RFC 6052) and 6to4 (RFC 3056).
_DISGUISED = tuple(map(IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16")))

_LONGEST = 512

# Resolves a name to addresses, as texts.
Resolve = Callable[[str], Awaitable[Sequence[str]]]


class ClientDocuments:
    """The documents of the listed hosts, fetched on demand."""

    def __init__(
        self,
        hosts: Collection[str],
        *,
        resolve: Resolve | None = None,
        port: int = _PORT,
        context: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`resolve`, `port` and `context`: replaced by tests, which have no Internet."""
        self._hosts = frozenset(hosts)
        self._resolver = _Pinned(resolve or public_addresses, port)
        self._context = context or client_context(None, "")
        self._clock = clock
        self._fetches: Buckets[str] = Buckets(_FETCHES)
        self._kept: OrderedDict[str, tuple[McpClient | str, float]] = OrderedDict()
        self._fetching: dict[str, asyncio.Task[McpClient]] = {}

    async def client(self, client_id: str) -> McpClient:
        """Return the client whose document is at this address. Raises AuthorizationRefused."""
        host = self._host(client_id)
        known, until = self._kept.get(client_id, ("", 0.0))
        if self._clock() < until:
            if isinstance(known, str):
                raise AuthorizationRefused(known)
            return known
        fetching = self._fetching.get(client_id)
        if fetching is None:
            if not self._fetches.take(host, self._clock()).allowed:
                raise AuthorizationRefused(f"too many client documents of {host} are asked for")
            fetching = asyncio.create_task(self._fetched(client_id, host), name="client document")
            self._fetching[client_id] = fetching
            fetching.add_done_callback(partial(self._done, client_id))
        # A cancelled caller does not cancel the fetch: other callers may be waiting for it.
        return await asyncio.shield(fetching)

    def _done(self, client_id: str, fetching: asyncio.Task[McpClient]) -> None:
        self._fetching.pop(client_id, None)
        if not fetching.cancelled():
            fetching.exception()  # retrieved, in case every caller was cancelled

    async def stop(self) -> None:
        """Cancel all fetches. Idempotent."""
        tasks = list(self._fetching.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _host(self, client_id: str) -> str:
        """Return the listed host of an address. Raises AuthorizationRefused."""
        parts = urlsplit(client_id)
        try:
            plain = parts.port is None and "@" not in parts.netloc
        except ValueError:
            plain = False
        # The draft's section 3: https, a path, no fragment, no dot segments.
        segments = parts.path.split("/")
        if (
            not plain
            or parts.scheme != "https"
            or parts.netloc not in self._hosts
            or parts.path in {"", "/"}
            or "#" in client_id
            or not client_id.isascii()
            or not client_id.isprintable()
            or {".", ".."} & set(segments)
            or len(client_id) > _LONGEST
        ):
            raise AuthorizationRefused("client_id is no address of a client document at a listed host")
        return parts.netloc

    async def _fetched(self, client_id: str, host: str) -> McpClient:
        kept: McpClient | str = "the fetch was ended"
        life = 0.0
        try:
            async with asyncio.timeout(TIMEOUT):
                client = document_client(client_id, host, await self._document(client_id))
        except AuthorizationRefused as refused:
            kept, life = str(refused), _FAILED
            raise
        except TimeoutError:
            kept, life = f"the client document of {host} did not come within {TIMEOUT:g} s", _FAILED
            raise AuthorizationRefused(kept) from None
        except (ClientError, OSError, ValueError) as error:
            kept, life = f"the client document of {host} cannot be fetched: {type(error).__name__}", _FAILED
            raise AuthorizationRefused(kept) from None
        else:
            kept, life = client, _KEPT
            return client
        finally:
            self._keep(client_id, kept, life)

    async def _document(self, url: str) -> Mapping[str, object]:
        """Return the JSON object there. Raises ClientError, OSError or ValueError."""
        session = ClientSession(
            connector=TCPConnector(resolver=self._resolver, use_dns_cache=False, ssl=self._context, limit=0),
            cookie_jar=DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            headers={"User-Agent": f"cognito-gateway/{VERSION}", "Accept": "application/json"},
            timeout=ClientTimeout(total=None),
        )
        async with session, session.get(url, allow_redirects=False) as answer:
            if answer.status != HTTPStatus.OK:
                raise ValueError("another status than 200")
            data = bytearray()
            async for chunk in answer.content.iter_any():
                data += chunk
                if len(data) > _MOST:
                    raise ValueError("too long")
        document = strict_json.loads(bytes(data))
        if not isinstance(document, dict):
            raise ValueError("no JSON object")  # noqa: TRY004 - of the same kind as broken JSON
        return document

    def _keep(self, client_id: str, kept: McpClient | str, life: float) -> None:
        self._kept[client_id] = kept, self._clock() + life
        self._kept.move_to_end(client_id)
        while len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)

    def __repr__(self) -> str:
        return f"<ClientDocuments of {len(self._hosts)} hosts>"


async def public_addresses(host: str) -> Sequence[str]:
    """Return the addresses of a name. Raises OSError where one of them is not of the public Internet."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, family=AF_UNSPEC, type=SOCK_STREAM)
    addresses = [str(address[0]) for *_, address in found]
    if not all(is_public(address) for address in addresses):
        # One that is not would be tried as well, first or later: so none is.
        raise OSError("an address that is not public")
    return addresses


def is_public(address: str) -> bool:
    """Return whether a packet to this address leaves for the Internet, whatever it is disguised as."""
    known = ip_address(address.partition("%")[0])
    if isinstance(known, IPv6Address):
        if known.ipv4_mapped is not None:
            return is_public(str(known.ipv4_mapped))
        if any(known in network for network in _DISGUISED):
            return False
        if known.is_site_local:  # fec0::/10, which Python calls global
            return False
    return known.is_global and not (known.is_multicast or known.is_reserved)


class _Pinned(AbstractResolver):
    """What is connected to is what was looked at: the name is resolved once."""

    def __init__(self, resolve: Resolve, port: int) -> None:
        self._resolve = resolve
        self._port = port

    async def resolve(self, host: str, port: int = 0, family: AddressFamily = AF_INET) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=self._port,
                family=AF_INET6 if ":" in address else AF_INET,
                proto=0,
                flags=AI_NUMERICHOST,
            )
            for address in await self._resolve(host)
        ]

    async def close(self) -> None:
        """Nothing is open."""
