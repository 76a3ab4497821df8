"""TLS contexts, made of files: for the clients' side (listen.tls) and for the upstream's (upstream.tls).

Invariant: a context that is handed out verifies whom it has to verify and holds a key that belongs to its
certificate; what cannot be made so raises GatewayError, one sentence that names the file.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from gateway.config.model import ClientTls, ServerTls
from gateway.errors import GatewayError, system_said
from gateway.tls import outgoing_context
from gateway.tls.causes import plain

# RFC 7301: HTTP/1.1 is what is spoken here, on both sides.
_PROTOCOLS = ["http/1.1"]
# RFC 9325 section 4.2: forward secrecy and AEAD, the suites of Mozilla's "intermediate" without DHE, which
# costs ten times as much and which no client of TLS 1.2 needs. TLS 1.3 has no others.
_TLS_1_2 = ":".join(
    f"ECDHE-{key}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for key in ("ECDSA", "RSA")
)


def server_context(tls: ServerTls) -> ssl.SSLContext:
    """What clients shake hands with. Raises GatewayError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _common(context)
    # What Python offers by itself depends on who built it: Debian's takes OpenSSL's list, static RSA and CBC
    # included.
    context.set_ciphers(_TLS_1_2)
    _load_pair(context, "listen.tls", tls.certificate_file, tls.key_file)
    if tls.client_ca_file is not None:
        _load_authorities(context, "listen.tls.client_ca_file", tls.client_ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(tls: ClientTls) -> ssl.SSLContext:
    """What the upstream is called with: its certificate and name are always verified. Raises GatewayError."""
    context = outgoing_context.client_context(tls.ca_file, "upstream.tls.ca_file")
    _common(context)
    if tls.certificate_file is not None:
        _load_pair(context, "upstream.tls", tls.certificate_file, tls.key_file or tls.certificate_file)
    elif tls.key_file is not None:
        raise GatewayError("upstream.tls.key_file is given without upstream.tls.certificate_file: give both")
    return context


def files_of(tls: ServerTls | ClientTls) -> tuple[Path, ...]:
    """The files a context is made of."""
    authorities = tls.client_ca_file if isinstance(tls, ServerTls) else tls.ca_file
    return tuple(file for file in (tls.certificate_file, tls.key_file, authorities) if file is not None)


def explain(error: OSError) -> str:
    """Return what went wrong on a connection, for the log; nothing secret is in it."""
    return plain(error)


def closed_properly(tls: ssl.SSLObject) -> bool:
    """Whether the peer's closure alert was received (RFC 8446 section 6.1). All data must have been read."""
    try:
        return tls.read(1) == b""
    except ssl.SSLZeroReturnError:
        return True
    except ssl.SSLError:
        return False


def _common(context: ssl.SSLContext) -> None:
    # RFC 8996: nothing below 1.2.
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # TLS 1.2 only (1.3 has none): a handshake is the costly part, and one connection could ask for many.
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(_PROTOCOLS)


def _load_authorities(context: ssl.SSLContext, key: str, file: Path) -> None:
    _read(key, file)
    try:
        context.load_verify_locations(cafile=file)
    except OSError as error:
        raise GatewayError(f"{key} {file}: holds no certificate that can be read: write PEM") from error


def _load_pair(context: ssl.SSLContext, section: str, certificate: Path, key: Path) -> None:
    chain = _read(f"{section}.certificate_file", certificate)
    secret = _read(f"{section}.key_file", key)
    try:
        # The password is never asked for: OpenSSL would stop and wait for one at the terminal.
        context.load_cert_chain(certificate, key, password="")
    except OSError as error:
        if b"-----BEGIN CERTIFICATE-----" not in chain:
            told = f"{section}.certificate_file {certificate}: holds no certificate: write PEM"
        else:
            told = f"{section}.key_file {key}: {_key_problem(certificate, secret, error)}"
        raise GatewayError(told) from error


def _key_problem(certificate: Path, secret: bytes, error: OSError) -> str:
    if b"ENCRYPTED" in secret:
        return "the key is encrypted: write it without a password"
    if b"PRIVATE KEY-----" not in secret:
        return "holds no private key: write PEM"
    if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
        return f"the key does not belong to the certificate in {certificate}: give both of one pair"
    return f"cannot be used with the certificate in {certificate}: {explain(error)}"


def _read(key: str, file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise GatewayError(f"{key} {file}: {system_said(error)}") from error
