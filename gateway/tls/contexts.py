"""TLS contexts built from the files of listen.tls and upstream.tls.

Invariant: a returned context verifies its peers as configured and has a key that matches its certificate;
otherwise GatewayError is raised, with one sentence that names the file.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from gateway.config.model import ClientTls, ServerTls
from gateway.errors import GatewayError, system_said
from gateway.tls import outgoing_context
from gateway.tls.causes import plain

# RFC 7301: HTTP/1.1 is spoken on both sides.
_PROTOCOLS = ["http/1.1"]
# RFC 9325 section 4.2: forward secrecy and AEAD; the suites of Mozilla's "intermediate" without DHE, which
# costs ten times as much and which no TLS 1.2 client needs. TLS 1.3 has no others.
_TLS_1_2 = ":".join(
    f"ECDHE-{key}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for key in ("ECDSA", "RSA")
)


def server_context(tls: ServerTls) -> ssl.SSLContext:
    """Return the context for client connections. Raises GatewayError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _common(context)
    # Python's default depends on its build: Debian's uses OpenSSL's list, including static RSA and CBC.
    context.set_ciphers(_TLS_1_2)
    _load_pair(context, "listen.tls", tls.certificate_file, tls.key_file)
    if tls.client_ca_file is not None:
        _load_authorities(context, "listen.tls.client_ca_file", tls.client_ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(tls: ClientTls) -> ssl.SSLContext:
    """Return the context for the upstream, which always verifies certificate and name.

    Raises GatewayError.
    """
    context = outgoing_context.client_context(tls.ca_file, "upstream.tls.ca_file")
    _common(context)
    if tls.certificate_file is not None:
        _load_pair(context, "upstream.tls", tls.certificate_file, tls.key_file or tls.certificate_file)
    elif tls.key_file is not None:
        raise GatewayError("upstream.tls.key_file is set without upstream.tls.certificate_file: set both")
    return context


def files_of(tls: ServerTls | ClientTls) -> tuple[Path, ...]:
    """Return the files that a context is built from."""
    authorities = tls.client_ca_file if isinstance(tls, ServerTls) else tls.ca_file
    return tuple(file for file in (tls.certificate_file, tls.key_file, authorities) if file is not None)


def explain(error: OSError) -> str:
    """Return what went wrong on a connection, for the log; it contains no secret."""
    return plain(error)


def closed_properly(tls: ssl.SSLObject) -> bool:
    """Return whether the peer's closure alert was received (RFC 8446 section 6.1), once all data was read."""
    try:
        return tls.read(1) == b""
    except ssl.SSLZeroReturnError:
        return True
    except ssl.SSLError:
        return False


def _common(context: ssl.SSLContext) -> None:
    # RFC 8996: nothing below 1.2.
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # TLS 1.2 only (1.3 has no renegotiation): handshakes are costly, and one connection could ask for many.
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(_PROTOCOLS)


def _load_authorities(context: ssl.SSLContext, key: str, file: Path) -> None:
    _read(key, file)
    try:
        context.load_verify_locations(cafile=file)
    except OSError as error:
        raise GatewayError(f"{key} {file}: contains no readable certificate: use PEM") from error


def _load_pair(context: ssl.SSLContext, section: str, certificate: Path, key: Path) -> None:
    chain = _read(f"{section}.certificate_file", certificate)
    secret = _read(f"{section}.key_file", key)
    try:
        # An empty password: OpenSSL would otherwise prompt for one on the terminal.
        context.load_cert_chain(certificate, key, password="")
    except OSError as error:
        if b"-----BEGIN CERTIFICATE-----" not in chain:
            message = f"{section}.certificate_file {certificate}: contains no certificate: use PEM"
        else:
            message = f"{section}.key_file {key}: {_key_problem(certificate, secret, error)}"
        raise GatewayError(message) from error


def _key_problem(certificate: Path, secret: bytes, error: OSError) -> str:
    if b"ENCRYPTED" in secret:
        return "the key is encrypted: store it without a password"
    if b"PRIVATE KEY-----" not in secret:
        return "contains no private key: use PEM"
    if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
        return f"the key does not match the certificate in {certificate}: use a matching pair"
    return f"cannot be used with the certificate in {certificate}: {explain(error)}"


def _read(key: str, file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise GatewayError(f"{key} {file}: {system_said(error)}") from error
