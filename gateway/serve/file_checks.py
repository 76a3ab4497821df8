"""Contents of the files that a configuration names, checked for `check-config` before anything is served.

Invariant: what is reported here would stop `serve`, or keep it from ever verifying a token.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from gateway.config.extras import missing_extras
from gateway.config.model import Config, Egress, UserPool
from gateway.errors import GatewayError

if TYPE_CHECKING:
    from gateway.tokens.jwk import IgnoredKey

Reader = Callable[[], object]

# The readers' messages start with the key, then the file.
_KEY = re.compile(r"([a-z_]+(?:\.[a-z_]+)+):? (.*)", re.DOTALL)


def check_contents(config: Config) -> Iterator[tuple[str, str, bool]]:
    """Yield the key's path, the problem, and whether it is a warning, for each file with wrong content."""
    for key, problem in missing_extras(config):
        yield key, problem, False
    for read in _readers(config):
        try:
            read()
        except GatewayError as error:
            match = _KEY.fullmatch(str(error))
            yield (match[1], match[2], False) if match else ("", str(error), False)
    yield from _certificates(config)
    yield from _roots(config.cognito.egress)
    for index, pool in enumerate(config.cognito.user_pools):
        for name, read in _readers_of(pool):
            try:
                read()
            except GatewayError as error:
                yield f"cognito.user_pools[{index}].{name}", str(error).removeprefix(f"{name}: "), False
        for ignored in _ignored(pool):
            key = f"cognito.user_pools[{index}].jwks_file"
            yield key, f"key {ignored.name} cannot be used: {ignored.reason}", True


def _readers(config: Config) -> Iterator[Reader]:
    listen, upstream = config.listen.tls, config.upstream.tls
    assertion, secrets = config.identity_headers.assertion, config.sign_in.session.secret_file
    if listen is not None:
        from gateway.tls.contexts import server_context

        yield lambda: server_context(listen)
    if upstream is not None and config.upstream.scheme == "https":
        from gateway.tls.contexts import client_context

        yield lambda: client_context(upstream)
    if assertion is not None:
        from gateway.gate.signing_keys import read_signing_keys

        yield lambda: read_signing_keys(assertion.key_file)
    if secrets is not None and config.sign_in.enabled:
        from gateway.sessions.secrets import read_secrets

        yield lambda: read_secrets(secrets)
    if config.sign_in.enabled:
        from gateway.pages.appearance import look_of

        yield lambda: look_of(config.sign_in.appearance)


def _certificates(config: Config) -> Iterator[tuple[str, str, bool]]:
    listen, upstream = config.listen.tls, config.upstream.tls
    shown = [("listen", listen.certificate_file)] if listen is not None else []
    if upstream is not None and upstream.certificate_file is not None:
        shown.append(("upstream", upstream.certificate_file))
    for section, file in shown:
        from gateway.tls.certificates import validity

        valid = validity(file)
        problem = None if valid is None else valid.problem(time.time())
        if problem is not None:
            yield f"{section}.tls.certificate_file", f"{file}: {problem}", True


def _roots(egress: Egress) -> Iterator[tuple[str, str, bool]]:
    from gateway.tls.outgoing_context import client_context

    try:
        client_context(egress.roots, egress.ca_from)
    except GatewayError as error:
        # The environment's file may be meant for other programs, and AWS may never be called.
        key = "cognito.ca_file"
        yield key, str(error).removeprefix(f"{key} "), egress.ca_from != key


def _readers_of(pool: UserPool) -> Iterator[tuple[str, Reader]]:
    if pool.jwks_file is not None:
        yield "jwks_file", lambda: _key_set(pool)
    if pool.client_secret_file is not None:
        from gateway.sessions.cognito import client_secret

        yield "client_secret_file", lambda: client_secret(pool)


def _ignored(pool: UserPool) -> tuple[IgnoredKey, ...]:
    if pool.jwks_file is None:
        return ()
    from gateway.tokens.jwk import KeySetRefused, read_key_set

    try:
        return read_key_set(pool.jwks_file.read_bytes()).ignored
    except (OSError, KeySetRefused):
        return ()  # already reported by its reader


def _key_set(pool: UserPool) -> None:
    from gateway.tokens.jwk import KeySetRefused, parse_key_set

    assert pool.jwks_file is not None
    try:
        parse_key_set(pool.jwks_file.read_bytes())
    except (OSError, KeySetRefused) as error:
        raise GatewayError(f"{pool.jwks_file}: contains no usable key set: {error}") from error
