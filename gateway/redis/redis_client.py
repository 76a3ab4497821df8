"""The Redis client: commands and scripts with a short timeout.

Invariant: a call ends within `TIMEOUT`, not counting time in which this process got no CPU, and at once while
Redis is known to be unavailable; a background probe notices its recovery, so that no request waits for it.
Every failure is a `RedisUnavailable`, and no text contains the password or anything stored or sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import ssl
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from gateway.config.extras import not_installed
from gateway.config.redis_url import RedisPlace, redis_place
from gateway.errors import ConfigurationError
from gateway.observe.logs import Logger
from gateway.redis.deadline import PARTS, within

if TYPE_CHECKING:
    from redis.asyncio import BlockingConnectionPool
    from redis.asyncio import Redis as Client

Value = str | bytes | int | float
T = TypeVar("T")

# Seconds for one call, its connection included. Redis responds within 1 ms in its own network and needs some
# 10 ms for a new TLS connection; a request should not wait longer for a rate limit than for its response.
TIMEOUT = 0.2
# Seconds between two probes while Redis is unavailable, ± a fifth. Redis restarts in about a second.
PROBE_EVERY = 1.0
# The maximum number of connections. Each carries one call at a time: 16 at 1 ms make 16,000 calls a second,
# more than a worker can issue. More would only lengthen the first moment after a restart.
CONNECTIONS = 16


class RedisUnavailable(Exception):
    """A call failed. `reason` is from a fixed set: timeout, unreachable, refused, unavailable, closed.

    After `timeout` and `unreachable` it is unknown whether the command was executed.
    """

    def __init__(self, reason: str, exact: str) -> None:
        super().__init__(exact)
        self.reason = reason


class Script:
    """A Lua script; Redis runs it atomically."""

    __slots__ = ("digest", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        # The name EVALSHA uses; not a security measure.
        self.digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class Redis:
    """A connection pool to one Redis.

    Created without I/O; its owner calls `close`.
    """

    def __init__(
        self,
        url: str,
        *,
        log: Logger,
        password_file: Path | None = None,
        timeout: float = TIMEOUT,
        probe_every: float = PROBE_EVERY,
    ) -> None:
        """Raises ConfigurationError if redis-py is not installed."""
        self.place = redis_place(url)
        self._log = log
        self._timeout = timeout
        self._probe_every = probe_every
        self._client = _client(self.place, password_file, timeout)
        # Set while Redis is unavailable.
        self._probe: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def unavailable(self) -> bool:
        """Whether calls fail at once; turns False by itself."""
        return self._probe is not None or self._closed

    # --- commands; each raises RedisUnavailable ---

    async def get(self, key: str) -> bytes | None:
        value = await self._call(lambda: self._client.get(key))
        assert value is None or isinstance(value, bytes)
        return value

    async def set(self, key: str, value: Value, ttl: float) -> None:
        """Store a value for `ttl` seconds: nothing of ours stays in Redis indefinitely."""
        await self._call(lambda: self._client.set(key, value, px=_milliseconds(ttl)))

    async def delete(self, *keys: str) -> int:
        """Delete these keys; return how many existed."""
        return int(await self._call(lambda: self._client.delete(*keys)))

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Value] = ()) -> Any:
        """Run a script and return its result, in one round trip except after a restart of Redis."""

        async def ask() -> Any:
            from redis.exceptions import NoScriptError  # noqa: PLC0415 - an extra, loaded when configured

            try:
                return await self._client.evalsha(script.digest, len(keys), *keys, *arguments)
            except NoScriptError:
                return await self._client.eval(script.text, len(keys), *keys, *arguments)

        return await self._call(ask)

    async def command(self, *words: Value) -> Any:
        """Run any other command."""
        # redis-py does not type it.
        client: Any = self._client
        return await self._call(lambda: client.execute_command(*words))

    # --- connection ---

    async def close(self) -> None:
        """Stop the probe and close all connections; later calls fail. Idempotent."""
        self._closed = True
        probe, self._probe = self._probe, None
        if probe is not None:
            probe.cancel()
            await asyncio.wait((probe,))
        await _closed(self._client.aclose())

    async def _call(self, do: Callable[[], Awaitable[T]]) -> T:
        if self._closed:
            raise RedisUnavailable("closed", "the connection to Redis is closed")
        if self._probe is not None:
            raise RedisUnavailable("unavailable", "Redis is unavailable")
        try:
            return await self._bounded(do)
        except RedisUnavailable as failure:
            if failure.reason != "refused":
                self._lost(failure)
            raise

    async def _bounded(self, do: Callable[[], Awaitable[T]]) -> T:
        """Run one call with its timeout, raising our exceptions in place of redis-py's."""
        from redis import exceptions  # noqa: PLC0415 - an extra, loaded when configured

        try:
            return await within(self._timeout, do)
        except (TimeoutError, exceptions.TimeoutError):
            raise RedisUnavailable("timeout", f"no response within {self._timeout:g} s") from None
        # Before its parent, ConnectionError: a wrong password, or a user without the permission.
        except (exceptions.AuthenticationError, exceptions.AuthorizationError) as error:
            raise RedisUnavailable("unreachable", type(error).__name__) from None
        # The class only: messages quote commands, and with them stored values.
        except (exceptions.ConnectionError, OSError) as error:
            raise RedisUnavailable("unreachable", type(error).__name__) from None
        except (exceptions.RedisError, ValueError) as error:
            raise RedisUnavailable("refused", type(error).__name__) from None

    def _lost(self, failure: RedisUnavailable) -> None:
        if self._probe is None and not self._closed:
            self._probe = asyncio.get_running_loop().create_task(self._find(failure), name="redis probe")

    async def _find(self, failure: RedisUnavailable) -> None:
        """Probe until Redis responds. The first probe is immediate, and a brief failure is not logged."""
        logged = False
        while True:
            # A connection whose response was late must not deliver it to the next call.
            await _closed(self._client.connection_pool.disconnect(inuse_connections=False))
            try:
                await self._bounded(self._client.ping)
                break
            except RedisUnavailable as again:
                if (
                    again.reason == "refused"
                ):  # Redis responds, and the permission for PING does not matter here
                    break
            if not logged:
                logged = True
                self._log.event(
                    "redis_unavailable",
                    level="warning",
                    redis=self.place.name,
                    reason=failure.reason,
                    exact=str(failure),
                )
            # S311: spreads load, no secret
            await asyncio.sleep(self._probe_every * (0.8 + 0.4 * random.random()))  # noqa: S311
        self._probe = None
        if logged:
            self._log.event("redis_recovered", redis=self.place.name)

    def __repr__(self) -> str:
        state = "closed" if self._closed else "unavailable" if self._probe is not None else "available"
        return f"<Redis {self.place.name} {state}>"


async def _closed(closing: Awaitable[None]) -> None:
    """Wait until redis-py has closed its connections, or has given up.

    Over TLS it waits for the peer's closure alert as long as for a new connection, and raises if a silent
    Redis sends none. The connections are out of use by then, and the event loop cleans up.
    """
    from redis.exceptions import RedisError  # noqa: PLC0415 - an extra, loaded when configured

    with contextlib.suppress(RedisError, OSError):
        await closing


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))


def _client(place: RedisPlace, password_file: Path | None, timeout: float) -> Client:
    try:
        from redis.asyncio import Redis as Client  # noqa: PLC0415 - an extra, loaded when configured
        from redis.asyncio.retry import Retry  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415
    except ImportError:
        raise ConfigurationError(f"Redis is configured, and {not_installed('redis')}") from None
    options: dict[str, Any] = {
        "db": place.database,
        "protocol": 2,
        # `within` bounds each call, its connection included; these bound the rest, such as closing.
        "socket_timeout": PARTS * timeout,
        "socket_connect_timeout": timeout,
        # One retry: a connection that died while idle, as after a restart, is not a failure.
        "retry": Retry(NoBackoff(), 1),
        # No CLIENT SETINFO: it takes two round trips of every new connection.
        "driver_info": None,
        "max_connections": CONNECTIONS,
        # Seconds to wait for a free connection.
        "timeout": PARTS * timeout,
    }
    if password_file is None:
        options |= {"username": place.username, "password": place.password}
    else:
        options["credential_provider"] = _file_credentials(place.username, password_file)
    return Client.from_pool(_pool(place, options))


def _pool(place: RedisPlace, options: dict[str, Any]) -> BlockingConnectionPool:
    from redis.asyncio import BlockingConnectionPool, SSLConnection, UnixDomainSocketConnection  # noqa: PLC0415

    if place.unix:
        return BlockingConnectionPool(connection_class=UnixDomainSocketConnection, path=place.unix, **options)
    options |= {"host": place.host, "port": place.port}
    if place.tls:
        return BlockingConnectionPool(
            connection_class=SSLConnection,
            ssl_ca_certs=place.ca_file,
            ssl_check_hostname=True,
            ssl_min_version=ssl.TLSVersion.TLSv1_2,
            # The same checks on every Python version, as on all other outgoing connections: from 3.13 on,
            # create_default_context, which redis-py calls, sets both flags. VERIFY_X509_STRICT refuses many
            # private CAs (RFC 5280 section 4.2.1: those without a key identifier or key usage).
            ssl_exclude_verify_flags=[ssl.VERIFY_X509_STRICT, ssl.VERIFY_X509_PARTIAL_CHAIN],
            **options,
        )
    return BlockingConnectionPool(**options)


def _file_credentials(username: str | None, path: Path) -> Any:
    from redis.credentials import CredentialProvider  # noqa: PLC0415

    class FromFile(CredentialProvider):
        """Reads the password for every new connection, so that a rotated one is used without a reload."""

        def get_credentials(self) -> tuple[str] | tuple[str, str]:
            password = path.read_text(encoding="utf-8").strip()
            return (password,) if username is None else (username, password)

        async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
            return await asyncio.to_thread(self.get_credentials)

    return FromFile()
