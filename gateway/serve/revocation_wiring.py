"""The revocation checks of one configuration, built from its parts."""

from __future__ import annotations

from gateway.config.model import Config
from gateway.observe.logs import Logger
from gateway.observe.metrics import WorkerMetrics
from gateway.redis.redis_client import Redis
from gateway.revocation.redis_verdicts import RedisVerdicts
from gateway.revocation.sharing import SharedVerdicts
from gateway.revocation.watch import RevocationWatch
from gateway.serve.cpus import usable_cpus
from gateway.tokens.cache import TokenCache
from gateway.tokens.principal import Principal


def revocation_of(
    config: Config,
    remembered: TokenCache[Principal],
    *,
    metrics: WorkerMetrics,
    log: Logger,
    previous: RevocationWatch | None,
    verdicts: SharedVerdicts | None = None,
) -> RevocationWatch | None:
    """Return the revocation checks; None if `check_every` is null. Denials of `previous` are taken over.

    `verdicts`: those shared by the workers, used without Redis."""
    settings, workers = config.cognito.revocation, config.listen.workers
    if settings.check_every is None:
        return None
    shared = verdicts
    if settings.redis_url is not None:
        shared = RedisVerdicts(
            Redis(settings.redis_url, log=log, password_file=settings.redis_password_file),
            check_every=settings.check_every,
            calls_per_second=settings.calls_per_second,
            leeway=config.cognito.clock_leeway,
        )
    return RevocationWatch(
        config.cognito,
        remembered,
        # Without shared verdicts each worker asks Cognito itself; all share one quota.
        workers=usable_cpus() if workers == "auto" else workers,
        metrics=metrics,
        log=log,
        shared=shared,
        previous=previous,
    )
