"""Enforcement of rate limits per principal and address, by this worker and, if shared, in Redis.

A request is counted by this worker first, without waiting; if that refuses it, Redis is not asked. Otherwise
it is counted in Redis too; while Redis is unavailable the worker's own count decides. Invariant: no request
waits for a Redis known to be unavailable, and none is refused because of it.
"""

from __future__ import annotations

from gateway.config.model import RateLimit
from gateway.errors import RateLimited
from gateway.gate.redis_rate import SharedBuckets
from gateway.http.request import Request
from gateway.observe.logs import Logger
from gateway.observe.metrics import WorkerMetrics
from gateway.policy.rate import (
    MAX_NAME,
    Allowance,
    Buckets,
    address_key,
    limit_header,
    policy_header,
    rule_of,
    seconds,
)
from gateway.redis.redis_client import Redis, RedisUnavailable
from gateway.tokens.principal import Principal

# Seconds before the log names the same client again: a flood must not fill the log.
_REPEAT_AFTER = 60.0
# Clients named recently; with more of them, some are named again.
_REMEMBERED = 1024
_PREFIX = "cognito_gateway:rate:"

Key = tuple[str, str]


class Limits:
    """The rate limits of one configuration and their counts. Its owner calls `stop`."""

    def __init__(self, config: RateLimit, *, metrics: WorkerMetrics, log: Logger) -> None:
        self._rule = rule_of(config.requests_per_second, config.burst)
        self._policy = policy_header(self._rule)
        self._metrics = metrics
        self._log = log
        # Two tables, so that strangers with many addresses cannot evict principals.
        self._principals: Buckets[Key] = Buckets(self._rule)
        self._addresses: Buckets[Key] = Buckets(self._rule)
        self._logged: dict[Key, float] = {}
        self.redis: Redis | None = None
        if config.redis_url is not None:
            self.redis = Redis(config.redis_url, log=log, password_file=config.redis_password_file)
            self._shared = SharedBuckets(
                self.redis, prefix=_PREFIX, interval=self._rule.interval, capacity=self._rule.capacity
            )

    async def stop(self) -> None:
        if self.redis is not None:
            await self.redis.close()

    def count(self, request: Request, principal: Principal | None) -> bool:
        """Count a request of this principal, or of its address; return whether to call `count_shared`.

        Raises RateLimited if this worker alone has seen too many.
        """
        key, buckets = self._key(request, principal)
        allowance = buckets.take(key, request.started)
        if not allowance.allowed:
            raise self._refusal(request, key, allowance)
        if self.redis is None:
            return False
        if self.redis.unavailable:
            self._metrics.rate_limit_errors += 1
            return False
        return True

    def count_here(self, request: Request) -> None:
        """Count a request for a page of ours by address, in this worker only. Raises RateLimited."""
        key, buckets = self._key(request, None)
        allowance = buckets.take(key, request.started)
        if not allowance.allowed:
            raise self._refusal(request, key, allowance)

    async def count_shared(self, request: Request, principal: Principal | None) -> None:
        """Count in Redis what `count` counted here. Raises RateLimited."""
        key, _ = self._key(request, principal)
        try:
            taken = await self._shared.take(":".join(key))
        except RedisUnavailable:
            self._metrics.rate_limit_errors += 1
            return
        if not taken.allowed:
            raise self._refusal(request, key, Allowance(*taken))

    # --- bad credentials ---

    def suspect(self, request: Request) -> None:
        """Check an address's limit before its token: beyond the limit an RSA operation is wasted.

        Raises RateLimited. Only bad tokens count, by `disproved`.
        """
        key, buckets = self._key(request, None)
        allowance = buckets.look(key, request.started)
        if not allowance.allowed:
            raise self._refusal(request, key, allowance)

    def disproved(self, request: Request) -> None:
        """Count bad credentials against the address, in this worker only."""
        key, buckets = self._key(request, None)
        buckets.take(key, request.started)

    def _key(self, request: Request, principal: Principal | None) -> tuple[Key, Buckets[Key]]:
        if principal is None:
            return ("address", address_key(request.client)), self._addresses
        claims = principal.claims
        return (claims.pool_id, claims.subject[:MAX_NAME]), self._principals

    def _refusal(self, request: Request, key: Key, allowance: Allowance) -> RateLimited:
        by, now = "address" if key[0] == "address" else "principal", request.started
        self._metrics.rate_limited[by] += 1
        if now - self._logged.get(key, -_REPEAT_AFTER) >= _REPEAT_AFTER:
            if len(self._logged) >= _REMEMBERED:
                self._logged.clear()
            self._logged[key] = now
            principal = key if by == "principal" else (None, None)
            self._log.event(
                "rate_limited",
                level="warning",
                request_id=request.request_id.decode("ascii"),
                client=request.client,
                by=by,
                pool=principal[0],
                subject=principal[1],
            )
        return RateLimited(
            f"over {self._rule.rate:g} requests a second of this {by}",
            retry_after=seconds(allowance.retry_after),
            left=limit_header(allowance),
            policy=self._policy,
        )

    def __repr__(self) -> str:
        return f"<Limits of {self._principals!r} and {self._addresses!r}>"
