"""boto3's proxy and root certificates: the same that gateway/outgoing/aws_http.py gives to aiohttp.

Invariant: loopback is reached directly; what boto3 would choose itself (a profile's `ca_bundle`, its bundled
roots) is used only on machines without a file of system roots.
"""

from __future__ import annotations

import ssl
from typing import Any

from botocore.exceptions import BotoCoreError, ProxyConnectionError, SSLError

from gateway.config.model import Egress
from gateway.errors import GatewayError
from gateway.outgoing.aws_http import certificate_problem, proxy_named


def proxies_of(egress: Egress, *, local: bool) -> dict[str, str] | None:
    """Return botocore's `proxies`. None: botocore reads the environment, and NO_PROXY as egress.py does."""
    if local or egress.proxy is None:
        return {}
    return None if egress.proxy_from != "cognito.proxy" else {"https": egress.proxy}


def verify_of(egress: Egress) -> str | None:
    """Return botocore's `verify`. Raises GatewayError if the file does not exist."""
    if egress.roots is None:
        return None
    if not egress.roots.is_file():
        raise GatewayError(f"{egress.ca_from} {egress.roots}: no such file")
    return str(egress.roots)


def explain_egress(error: BotoCoreError | ValueError, egress: Egress) -> GatewayError | None:
    """Return a message for a proxy or certificate failure; None for any other error."""
    if isinstance(error, SSLError):
        cause = _certificate_error(error.kwargs.get("error"))
        if cause is not None:
            return GatewayError(certificate_problem(cause, egress))
        return GatewayError("AWS: the TLS handshake failed: is a proxy in the way? check cognito.proxy")
    if isinstance(error, ProxyConnectionError):
        return GatewayError(
            f"{proxy_named(egress)} cannot be reached or refuses CONNECT: check it and its credentials"
        )
    return None


def _certificate_error(error: Any) -> ssl.SSLCertVerificationError | None:
    """Return the ssl module's error inside urllib3's, which wraps it once or twice."""
    for _ in range(5):
        if isinstance(error, ssl.SSLCertVerificationError):
            return error
        if not isinstance(error, BaseException):
            return None
        error = getattr(error, "reason", None) or (error.args[0] if error.args else None) or error.__cause__
    return None
