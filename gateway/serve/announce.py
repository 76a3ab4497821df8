"""Log what a gateway that starts was configured from, and how to connect one that has no user pool yet.

Invariant: the set-up code is written by the process that made its secret, when it begins to be good for
something: at the start, or when a reload leaves the gateway without a user pool. Once a code was used, the
next one is written by the worker that took it.
"""

from __future__ import annotations

from gateway.config.model import Config
from gateway.observe.logs import Logger
from gateway.pages.once import Once
from gateway.version import PYTHON, VERSION


def announce_start(config: Config, source: str | None, workers: int, log: Logger) -> None:
    """Log what serves, where, and what it was configured from; at level debug also what each route needs."""
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
    """The event `setup_code`, where there is a page that asks for it; `before`: there was one already under
    that configuration."""
    if not _asks(config) or (before is not None and _asks(before)):
        return
    # Only then: it loads cryptography's key derivation.
    from gateway.pages.setup_code import SetupCode  # noqa: PLC0415

    SetupCode(secret, once).announce(config, log)


def _asks(config: Config) -> bool:
    return config.sign_in.enabled and not config.cognito.user_pools
