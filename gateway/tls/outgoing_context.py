"""TLS contexts of outgoing connections: the one place that makes them, for the upstream and for AWS.

Invariant: a context that is handed out verifies the chain up to a root, the name and the dates, by the same
rules on every interpreter.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from gateway.errors import GatewayError, system_said


def client_context(ca_file: Path | None, named_by: str) -> ssl.SSLContext:
    """Return a context that trusts this file's roots; None: the library's. `named_by` is for the mistake.

    Raises GatewayError where the file cannot be used.
    """
    # PROTOCOL_TLS_CLIENT turns on CERT_REQUIRED and check_hostname. create_default_context would do more:
    # write session secrets to the file that SSLKEYLOGFILE names, and from Python 3.13 on set
    # VERIFY_X509_STRICT, which refuses many private authorities (RFC 5280 section 4.2.1: those without a key
    # identifier or key usage), and VERIFY_X509_PARTIAL_CHAIN, which would trust an intermediate as a root.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # RFC 8996: nothing below 1.2.
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        return context
    try:
        ca_file.read_bytes()
    except OSError as error:
        told = f"{named_by} {ca_file}: {system_said(error)}"
        raise GatewayError(told) from error
    try:
        context.load_verify_locations(cafile=ca_file)
    except OSError as error:
        raise GatewayError(
            f"{named_by} {ca_file}: holds no certificate that can be read: write PEM"
        ) from error
    return context
