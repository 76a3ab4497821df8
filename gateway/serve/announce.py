"""Log records at the start of a gateway: its configuration, and the set-up code if it has no user pool.

Invariant: the process that generated the secret logs the set-up code when it becomes valid: at start, or when
a reload leaves the gateway without a user pool. After a code was used, the worker that accepted it logs the
next one.
"""

from __future__ import annotations

from gateway.config.model import Config
from gateway.config.stored import proven
from gateway.observe.logs import Logger
from gateway.pages.once import Once
from gateway.version import PYTHON, VERSION


def announce_start(config: Config, source: str | None, workers: int, log: Logger) -> None:
    """Log addresses, version and source of the configuration; at level debug also each route's
    requirements."""
    log.event(
        "started",
        address=str(config.listen.address),
        workers=workers,
        version=VERSION,
        python=PYTHON,
        configuration=source,
        user_pools=[pool.id for pool in config.cognito.user_pools],
        upstream=config.upstream.address,
    )
    for number, route in enumerate(config.routes):
        log.event(
            "route",
            "debug",
            number=number,
            path=route.path,
            methods=None if route.methods is None else sorted(route.methods),
            auth=route.auth,
            groups=route.groups or None,
            scopes=route.scopes or None,
            claims=[name for name, _ in route.claims] or None,
        )


def announce_setup(
    config: Config, secret: bytes, once: Once, log: Logger, *, before: Config | None = None
) -> None:
    """Log the event `setup_code` if the set-up page is open; `before`: not if it was open under that one."""
    if not _asks(config) or (before is not None and _asks(before)):
        return
    # Imported only then: it loads cryptography's key derivation.
    from gateway.pages.setup_code import SetupCode  # noqa: PLC0415

    SetupCode(secret, once).announce(config, log)


def _asks(config: Config) -> bool:
    sign_in, cognito = config.sign_in, config.cognito
    if cognito.user_pools and (not cognito.stored or sign_in.state_dir is None):
        return False
    # Open again until somebody has signed in with what the page stored.
    unproven = sign_in.state_dir is not None and not proven(sign_in.state_dir)
    return sign_in.enabled and (not cognito.user_pools or unproven)
