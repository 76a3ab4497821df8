"""Tells whoever reads the log how to connect a gateway that has no user pool yet.

Invariant: the set-up code is written once for each start, by the process that made its secret, and only while
it is good for something.
"""

from __future__ import annotations

from gateway.config.model import Config
from gateway.observe.logs import Logger


def announce_setup(config: Config, secret: bytes, log: Logger) -> None:
    """The event `setup_code`, where there is a page that asks for it."""
    if config.cognito.user_pools or not config.sign_in.enabled:
        return
    # Only then: it loads cryptography's key derivation.
    from gateway.portal.setup_code import setup_code  # noqa: PLC0415

    log.event(
        "setup_code",
        level="warning",
        setup_code=setup_code(secret),
        page=f"{config.listen.public_url or ''}{config.sign_in.prefix}/setup",
    )
