"""Causes of failed connections in plain words, for logs and commands.

Invariant: the text contains no byte that a peer sent and no Python class name.
"""

from __future__ import annotations

import os
import socket
import ssl

# OpenSSL's reasons for a peer that does not speak TLS: its first bytes are not a TLS record.
_NOT_TLS = frozenset(
    {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"}
)


def plain(error: BaseException) -> str:
    """Return the cause of a failed connection."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate verify failed: {error.verify_message.rstrip('.')}"
    if isinstance(error, ssl.SSLError):
        if error.reason in _NOT_TLS:
            return "the server does not speak TLS on this port (an http address in an https URL?)"
        return f"TLS: {(error.reason or 'failed').lower().replace('_', ' ')}"
    if isinstance(error, socket.gaierror):
        return f"the host name was not found ({(error.strerror or 'unknown').lower()})"
    if isinstance(error, TimeoutError):
        return "no response in time"
    if isinstance(error, OSError):
        # The message of the number: asyncio's text repeats the address in Python's notation.
        known = error.errno is not None and error.errno > 0
        return os.strerror(error.errno).lower() if known and error.errno else _by_kind(error)
    return _by_kind(error)


def _by_kind(error: BaseException) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, (ConnectionResetError, EOFError, BrokenPipeError)):
        return "the connection was closed before a response"
    return "the connection failed"
