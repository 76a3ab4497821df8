"""Egress to AWS: proxy and CA file, from two keys under `cognito` and the environment. Pure.

One decision for both HTTP stacks: aiohttp (key sets, GetUser, the token endpoint) and boto3 (the rest).
Invariant: plain http and loopback addresses never go through a proxy, and a proxy's credentials are in no
repr and no message.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from gateway.config import addresses
from gateway.errors import GatewayError

# As in curl and urllib: the lower-case name takes precedence, and an empty value means none.
_PROXY_NAMES = ("https_proxy", "HTTPS_PROXY")
_NO_PROXY_NAMES = ("no_proxy", "NO_PROXY")
_CA_NAMES = ("AWS_CA_BUNDLE", "SSL_CERT_FILE")
# Where distributions keep the system's CA certificates: Debian and Alpine, Red Hat, SUSE.
_SYSTEM_ROOTS = (
    Path("/etc/ssl/certs/ca-certificates.crt"),
    Path("/etc/pki/tls/certs/ca-bundle.crt"),
    Path("/etc/ssl/ca-bundle.pem"),
    Path("/etc/ssl/cert.pem"),
)


@dataclass(frozen=True, slots=True)
class Egress:
    """How AWS is reached. The default is direct, with the library's own CA certificates."""

    # An HTTP proxy's URL, possibly with credentials; None: no proxy.
    proxy: str | None = field(default=None, repr=False)
    # The key or variable that names it.
    proxy_from: str = "cognito.proxy"
    # NO_PROXY, unparsed.
    no_proxy: str = ""
    # The CA file; None: the system has none in a usual place. It is watched where it is used, hence not named
    # like the files that a reload watches.
    roots: Path | None = None
    # The key or the variable that named it, or words for neither.
    ca_from: str = "the system"


DIRECT = Egress()


def egress_of(proxy: str, ca_file: Path | None, environ: Mapping[str, str]) -> Egress:
    """Complete `cognito.proxy` and `cognito.ca_file`. Raises ValueError with a sentence about the proxy."""
    url, named_by, no_proxy = None, "cognito.proxy", ""
    if proxy == "environment":
        named_by, value = _first(_PROXY_NAMES, environ)
        url = _environment_proxy(named_by, value) if value else None
        no_proxy = _first(_NO_PROXY_NAMES, environ)[1]
    elif proxy != "none":
        url = proxy
    if ca_file is not None:
        return Egress(url, named_by, no_proxy, ca_file, "cognito.ca_file")
    for name in _CA_NAMES:
        if environ.get(name):
            return Egress(url, named_by, no_proxy, Path(environ[name]), name)
    system = next((path for path in _SYSTEM_ROOTS if path.is_file()), None)
    return Egress(url, named_by, no_proxy, system, "the system")


def egress_from(environ: Mapping[str, str]) -> Egress:
    """Return the egress of a command without a configuration. Raises GatewayError."""
    try:
        return egress_of("environment", None, environ)
    except ValueError as error:
        raise GatewayError(str(error)) from None


def proxy_for(egress: Egress, url: str) -> str | None:
    """Return the proxy for requests to this URL; None if they are direct."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    # AWS's own addresses are https; http is for loopback only (addresses.trusted).
    if egress.proxy is None or parts.scheme != "https" or addresses.is_loopback(host):
        return None
    return None if _bypassed(host, parts.port or 443, egress.no_proxy) else egress.proxy


def without_credentials(proxy: str) -> str:
    """Return the proxy's URL without credentials, for display and for HTTP clients."""
    parts = urlsplit(proxy)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"http://{host}:{parts.port or 80}"


def proxy_authorization(proxy: str) -> dict[str, str]:
    """Return the header for credentials in a proxy's URL (RFC 9110 section 11.7.2), or nothing."""
    parts = urlsplit(proxy)
    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Proxy-Authorization": "Basic " + base64.b64encode(pair.encode()).decode("ascii")}


def _first(names: tuple[str, ...], environ: Mapping[str, str]) -> tuple[str, str]:
    name = next((name for name in names if name in environ), names[-1])
    return name, environ.get(name, "")


def _environment_proxy(name: str, value: str) -> str:
    """Return the variable's value as a URL; curl accepts a bare `host:port` too."""
    url = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(url)
        usable = parts.scheme == "http" and bool(parts.hostname) and parts.path in {"", "/"}
        _ = parts.port  # raises ValueError where it is none
    except ValueError:
        usable = False
    if not usable:
        # Not repeated: it may contain a password.
        raise ValueError(
            f"{name} is not the URL of an HTTP proxy (http://host:port): correct it, or set cognito.proxy to "
            "none or to a URL"
        )
    return url


def _bypassed(host: str, port: int, no_proxy: str) -> bool:
    """Read NO_PROXY as urllib, and with it boto3, does: names match themselves and their subdomains."""
    for entry in no_proxy.split(","):
        name = entry.strip().lower().lstrip(".")
        if name == "*":
            return True
        if name and any(each == name or each.endswith(f".{name}") for each in (host, f"{host}:{port}")):
            return True
    return False
