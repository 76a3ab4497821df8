"""Parsers of addresses, networks and URLs, stricter than urllib (which drops tabs and newlines).

Invariant: a result has a valid host and no credentials or control characters; a mistake never repeats a text
that contains credentials.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from pathlib import Path
from typing import Literal, NamedTuple

from gateway.config.scalars import shown

_PRINTABLE = re.compile(r"[!#-&(-;=?-~]{1,2048}")
_URL = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>\[[^\]/?#]*\]|[^:/?#\[\]]*)(?::(?P<port>[0-9]*))?(?P<path>/[!-~]*)?",
    re.ASCII,
)
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", re.ASCII)
_PORT = re.compile(r"0|[1-9][0-9]{0,4}", re.ASCII)
# struct sockaddr_un: sun_path holds 108 bytes with the final NUL.
_LONGEST_SOCKET_PATH = 107


@dataclass(frozen=True, slots=True)
class Address:
    """A listening address: host and port, or a unix socket's path (then host is '' and port 0)."""

    host: str
    port: int
    unix: Path | None = None

    def __str__(self) -> str:
        if self.unix is not None:
            return f"unix:{self.unix}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class Url(NamedTuple):
    scheme: str
    host: str  # without the brackets of an IPv6 address
    port: int | None
    path: str  # "" or "/…"


class Target(NamedTuple):
    """The address of the upstream."""

    scheme: Literal["http", "https", "unix"]
    host: str
    port: int
    unix: Path | None


# Of a resource's path: nothing that two readers could take for two paths.
_SEGMENT = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._~-]+")
_REDIRECT = re.compile(r"([a-z][a-z0-9+.-]{0,62}):[A-Za-z0-9._~:/?@!$&'()*+,;=%\[\]-]{1,2000}")


def host_name(text: str) -> str:
    """Parse a DNS name or an IP address without brackets, to lower case."""
    try:
        if ":" in text:
            return str(IPv6Address(text))
        if text.replace(".", "").isdigit():
            return str(IPv4Address(text))
    except AddressValueError:
        raise ValueError(f"{shown(text)} is not an IP address") from None
    name = text.removesuffix(".")
    if len(name) > 253 or not name or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise ValueError(f"{shown(text)} is not a host name or an IP address")
    return text.lower()


def port_number(text: str, least: int = 0) -> int:
    if not _PORT.fullmatch(text) or not least <= int(text) <= 65535:
        raise ValueError(f"{shown(text)} is not a port from {least} to 65535")
    return int(text)


def host_header(text: str) -> str:
    """Parse `preserve`, `upstream`, or the value of a Host header: a name with an optional port."""
    if text in {"preserve", "upstream"}:
        return text
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, ""
    if colon and port:
        port_number(port, 1)
    name = host_name(host[1:-1] if host.startswith("[") and host.endswith("]") else host)
    return (f"[{name}]" if ":" in name else name) + (f":{port}" if port else "")


def is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return IPv6Address(host).is_loopback if ":" in host else IPv4Address(host).is_loopback
    except AddressValueError:
        return False


def socket_path(text: str) -> Path:
    if not text.startswith("/") or "\0" in text:
        raise ValueError(f"{shown(text)} is not an absolute path: write unix:/path/to/socket")
    if len(text.encode(errors="surrogatepass")) > _LONGEST_SOCKET_PATH:
        raise ValueError(f"{shown(text)} is longer than a socket path may be ({_LONGEST_SOCKET_PATH} bytes)")
    return Path("/" + text.lstrip("/"))


def address(text: str) -> Address:
    """Parse `host:port`, `:port`, `[::1]:8000` or `unix:/path`.

    `:port` means every interface; port 0 lets the system choose.
    """
    if text.startswith("unix:"):
        return Address("", 0, socket_path(text.removeprefix("unix:")))
    if "://" in text:
        raise ValueError(f"{shown(text)} is a URL: an address is host:port, :port or unix:/path")
    host, colon, port = text.rpartition(":")
    if not colon:
        raise ValueError(f"{shown(text)} has no port: write host:port, :port or unix:/path")
    if host.startswith("[") and host.endswith("]"):
        return Address(_bracketed(host), port_number(port))
    if ":" in host:
        raise ValueError(
            f"{shown(text)} is not an address: write an IPv6 address in brackets, as in [::1]:8000"
        )
    return Address(host_name(host) if host else "", port_number(port))


def network(text: str) -> IPv4Network | IPv6Network:
    """Parse a CIDR; a single address is a network of one."""
    try:
        return ip_network(text)
    except ValueError as error:
        if "host bits" in str(error):
            raise ValueError(
                f"{shown(text)} has host bits set: write {ip_network(text, strict=False)}"
            ) from None
        raise ValueError(f"{shown(text)} is not a network such as 10.0.0.0/8 or ::1/128") from None


def url(text: str) -> Url:
    """Parse scheme://host[:port][/path] without credentials, query or fragment."""
    authority = text.partition("://")[2].partition("/")[0]
    if "@" in authority:
        raise ValueError("credentials in a URL are not accepted here: remove the part before @")
    if "?" in text or "#" in text:
        raise ValueError(f"{shown(text)} must have no query and no fragment")
    match = _URL.fullmatch(text)
    if match is None:
        raise ValueError(f"{shown(text)} is not a URL such as https://host:port/path")
    host = _bracketed(match["host"]) if match["host"].startswith("[") else host_name(match["host"])
    port = None if match["port"] is None else port_number(match["port"], 1)
    return Url(match["scheme"], host, port, match["path"] or "")


def upstream(text: str) -> Target:
    """Parse the upstream's URL; it has no path, because requests keep their own."""
    if text.startswith("unix:"):
        return Target("unix", "", 0, socket_path(text.removeprefix("unix:")))
    parts = url(text)
    if parts.scheme not in {"http", "https"}:
        raise ValueError(f"{shown(text)} must begin with http://, https:// or unix:/")
    if parts.path not in {"", "/"}:
        raise ValueError(f"{shown(text)} must have no path: requests keep their own")
    scheme: Literal["http", "https"] = "https" if parts.scheme == "https" else "http"
    return Target(scheme, parts.host, parts.port or (443 if scheme == "https" else 80), None)


def origin(text: str) -> str:
    """Parse http(s)://host[:port]; returned without a trailing slash."""
    parts = url(text)
    if parts.scheme not in {"http", "https"}:
        raise ValueError(f"{shown(text)} must begin with https:// or http://")
    if parts.path not in {"", "/"}:
        raise ValueError(f"{shown(text)} must have no path: scheme, host and port only")
    return text.removesuffix("/")


def web_origin(text: str) -> str:
    """Parse an origin exactly as browsers send it in `Origin` (RFC 6454 section 6.2)."""
    if text in {"*", "null"}:
        return text
    parts = url(text)
    host = f"[{parts.host}]" if ":" in parts.host else parts.host
    default = {"https": 443, "http": 80}.get(parts.scheme)
    port = "" if parts.port in {None, default} else f":{parts.port}"
    sent = f"{parts.scheme}://{host}{port}"
    if text != sent:
        raise ValueError(f"{shown(text)} is not what browsers send: write {sent}")
    return text


def trusted(text: str) -> str:
    """Parse a URL for keys or credentials, whose responses nobody on the way can change."""
    parts = url(text)
    # RFC 7517 section 8 with RFC 9110 section 4.2.2: keys are as authentic as the connection they arrive on.
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.host)):
        raise ValueError(f"{shown(text)} must be https, or http on a loopback address")
    return text


def web_page(text: str) -> str:
    """Parse the https URL of a page that the gateway's own pages link to; it may have query and fragment."""
    if not _PRINTABLE.fullmatch(text):
        raise ValueError(f"{shown(text)} must be printable ASCII without blanks, quotes or angle brackets")
    if url(re.split("[?#]", text, maxsplit=1)[0]).scheme != "https":
        raise ValueError(f"{shown(text)} must begin with https://")
    return text


def resource(text: str) -> str:
    """Parse the URL of a protected resource (RFC 8707 section 2), to which tokens are bound."""
    trusted(text)
    if not all(_SEGMENT.fullmatch(segment) for segment in url(text).path.removesuffix("/").split("/")[1:]):
        raise ValueError(
            f"{shown(text)}: its path may hold letters, digits and . _ ~ - between single slashes"
        )
    return text


def document_host(text: str) -> str:
    """Return the host of client documents: a public name in lower case, without a port."""
    name = host_name(text)
    if ":" in name or name.replace(".", "").isdigit() or "." not in name.strip("."):
        raise ValueError(f"{shown(text)} must be a public host name such as client.example.com")
    return name.removesuffix(".")


def redirect_uri(text: str) -> str:
    """Parse a client's redirect URI (RFC 6749 section 3.1.2): absolute, without a fragment."""
    match = _REDIRECT.fullmatch(text)
    if match is None:
        raise ValueError(f"{shown(text)} is not an absolute URI of printable ASCII without a fragment")
    if match[1] in {"javascript", "data", "vbscript", "file", "blob", "about"}:
        raise ValueError(f"{shown(text)}: browsers run or read what such a URI holds")
    if match[1] == "http" and not is_loopback(url(text.partition("?")[0]).host):
        raise ValueError(f"{shown(text)} must be https, a client's own scheme, or http on a loopback address")
    return text


def proxy(text: str) -> str:
    """Parse `environment`, `none` or the URL of a proxy that is reached without TLS."""
    if text in {"environment", "none"}:
        return text
    if "@" in text.partition("://")[2].partition("/")[0]:
        raise ValueError("credentials in a URL are not accepted here: set this proxy in HTTPS_PROXY")
    parts = url(text)
    if parts.scheme != "http" or parts.path not in {"", "/"}:
        raise ValueError(f"{shown(text)} is not environment, none or a URL such as http://proxy:3128")
    return text


def collector(text: str) -> str:
    """Parse an OTLP/HTTP collector's base URL; a trailing /v1/traces is accepted and dropped."""
    parts = url(text)
    if parts.scheme not in {"http", "https"}:
        raise ValueError(f"{shown(text)} must begin with http:// or https://")
    return text.rstrip("/").removesuffix("/v1/traces")


def issuer(text: str) -> str:
    """Parse an issuer, which is kept exactly as tokens spell it."""
    parts = url(text)
    if parts.scheme not in {"http", "https"}:
        raise ValueError(f"{shown(text)} must begin with https://")
    return text


def _bracketed(text: str) -> str:
    try:
        return str(IPv6Address(text[1:-1]))
    except AddressValueError:
        raise ValueError(f"{shown(text)} is not an IPv6 address") from None
