"""TLS contexts for outgoing connections, to the upstream and to AWS.

Invariant: a returned context verifies the chain up to a root, the name and the dates, by the same rules on
every Python version.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from gateway.errors import GatewayError, system_said


def client_context(ca_file: Path | None, named_by: str) -> ssl.SSLContext:
    """Return a context that trusts this file's CAs, or the library's if None; `named_by` is for the error.

    Raises GatewayError if the file cannot be used.
    """
    # PROTOCOL_TLS_CLIENT turns on CERT_REQUIRED and check_hostname. create_default_context does more: it
    # writes session secrets to the file that SSLKEYLOGFILE names, and from Python 3.13 on sets
    # VERIFY_X509_STRICT, which refuses many private CAs (RFC 5280 section 4.2.1: those without a key
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
        message = f"{named_by} {ca_file}: {system_said(error)}"
        raise GatewayError(message) from error
    try:
        context.load_verify_locations(cafile=ca_file)
    except OSError as error:
        raise GatewayError(f"{named_by} {ca_file}: contains no readable certificate: use PEM") from error
    return context
