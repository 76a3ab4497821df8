"""Checks of the upstream: address, connection, TLS handshake, and one HTTP request.

All as for real requests: with the configured `upstream.tls` and `upstream.host_header`. Invariant: it sends
one GET of `/` without credentials, reads at most the head of the response, and ends within a time limit.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from gateway.commands.checkup.finding import Finding, broken, good, unknown, warning
from gateway.config.model import ClientTls, Config, Upstream
from gateway.errors import GatewayError
from gateway.gate.trust import host_of
from gateway.terminal import waiting_for
from gateway.tls.causes import plain
from gateway.tls.contexts import client_context

# Seconds to connect, and for the handshake; a healthy upstream on loopback needs a millisecond.
_CONNECT_TIMEOUT = 2.0
# Seconds for the response head: an API may need some for a path that is rarely used.
_ANSWER_TIMEOUT = 5.0
_ALL_FAIL = "every request is answered 502"


def look_at_upstream(config: Config) -> Iterator[Finding]:
    """Check that requests would be served, and that the upstream is not reachable past the gateway."""
    upstream = config.upstream
    about = f"upstream {upstream.address}"
    try:
        with waiting_for(f"the address of {upstream.host}"):
            addresses = _addresses(upstream)
    except OSError as error:
        yield broken(
            about, f"has no address: {plain(error)}", _ALL_FAIL, "check the host name in upstream.url"
        )
        return
    with waiting_for(f"the upstream {upstream.address}"):
        outcomes = [_outcome(config, address) for address in addresses]
    # One address that works is enough: the gateway uses that one.
    yield next((each for each in outcomes if each.level != "broken"), outcomes[0])
    loopback = upstream.unix is None and all(
        ip_address(str(each.where[0])).is_loopback for each in addresses if isinstance(each.where, tuple)
    )
    if loopback and any(each.what != _REFUSED for each in outcomes):
        yield _around(upstream.port)


@dataclass(frozen=True, slots=True)
class _Place:
    family: int
    where: str | tuple[object, ...]


_REFUSED = "cannot be reached: connection refused"


def _addresses(upstream: Upstream) -> list[_Place]:
    if upstream.unix is not None:
        return [_Place(socket.AF_UNIX, str(upstream.unix))]
    found = socket.getaddrinfo(upstream.host, upstream.port, type=socket.SOCK_STREAM)
    return [_Place(family, address[:2]) for family, _, _, _, address in found]


def _outcome(config: Config, place: _Place) -> Finding:
    upstream = config.upstream
    about = f"upstream {upstream.address}"
    with socket.socket(place.family, socket.SOCK_STREAM) as plain_socket:
        plain_socket.settimeout(_CONNECT_TIMEOUT)
        try:
            plain_socket.connect(place.where)
        except OSError as error:
            fix = "start it, or check upstream.url"
            return broken(about, f"cannot be reached: {plain(error)}", _ALL_FAIL, fix)
        if upstream.scheme != "https":
            return _asked(about, plain_socket, config)
        try:
            context = client_context(upstream.tls or ClientTls())
        except GatewayError as error:
            return broken(about, f"cannot be called: {error}", _ALL_FAIL, "correct that file")
        name = (upstream.tls.server_name if upstream.tls is not None else None) or upstream.host
        try:
            with context.wrap_socket(plain_socket, server_hostname=name) as secured:
                return _asked(about, secured, config)
        except OSError as error:
            return broken(about, f"TLS handshake failed: {plain(error)}", _ALL_FAIL, _tls_fix(error, name))


def _tls_fix(error: OSError, name: str) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        if "mismatch" in error.verify_message.lower():
            return f"set upstream.tls.server_name to a name in its certificate: {name} is not one"
        return "set upstream.tls.ca_file to the certificate of the authority that signed the upstream's"
    if "does not speak TLS" in plain(error):
        return "use http:// in upstream.url, or the port for TLS"
    return "check the upstream's log; it may require upstream.tls.certificate_file"


def _asked(about: str, connection: socket.socket, config: Config) -> Finding:
    """Send one GET. Any status is a success: what `/` means to this API is unknown."""
    connection.settimeout(_ANSWER_TIMEOUT)
    request = (
        f"GET / HTTP/1.1\r\nHost: {host_of(config)}\r\n"
        "User-Agent: cognito-gateway doctor\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    )
    try:
        connection.sendall(request.encode("ascii"))
        answer = http.client.HTTPResponse(connection, method="GET")
        answer.begin()
    except TimeoutError:
        why = "such requests are answered 504 after upstream.response_timeout"
        fix = "check what the API does with GET /"
        return warning(about, f"did not answer GET / within {_ANSWER_TIMEOUT:g} s", why, fix)
    except http.client.HTTPException:
        fix = "check the port in upstream.url"
        if config.upstream.scheme == "http":
            fix += "; for TLS, use https:// there"
        return broken(about, "does not answer in HTTP/1.1", _ALL_FAIL, fix)
    except OSError as error:
        fix = "check the upstream's log; with TLS, it may require upstream.tls.certificate_file"
        return broken(about, f"ended the connection without an answer: {plain(error)}", _ALL_FAIL, fix)
    if config.upstream.scheme == "http" and answer.status == http.HTTPStatus.BAD_REQUEST:
        why = "if that is its answer to everything, no request is served"
        return warning(
            about, "answers GET / with 400", why, "if it expects TLS, use https:// in upstream.url"
        )
    return good(about, f"answers GET / with {answer.status}")


def _around(port: int) -> Finding:
    """Check that the upstream does not answer on an address that others can reach."""
    about = f"upstream port {port}"
    address = _own_address()
    if address is None:
        return unknown(about, "this machine has only loopback addresses", "check from another machine")
    if _connects(address, port):
        return warning(
            about,
            f"also answers on {address}",
            "clients that reach that address bypass the gateway and need no token",
            "make it listen on 127.0.0.1 only, or block the port with a firewall or a NetworkPolicy",
        )
    return good(about, f"does not answer on {address}: the gateway cannot be bypassed there")


def _own_address() -> str | None:
    """Return the address seen by other machines. Nothing is sent: connecting UDP only selects a route."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # RFC 5737: an address reserved for documentation.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address: str = probe.getsockname()[0]
    return None if ip_address(address).is_loopback else address


def _connects(address: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(_CONNECT_TIMEOUT)
        try:
            probe.connect((address, port))
        except OSError:
            return False
    return True
