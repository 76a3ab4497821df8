"""Which pool a command is about: what its flags name, else what the configuration says.

Invariant: a flag beats the configuration, and a pool's region is that of its ID unless a flag names another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.aws.clients import Where
from gateway.config.egress import egress_from
from gateway.config.load import load
from gateway.config.model import Config, UserPool
from gateway.errors import GatewayError


@dataclass(frozen=True, slots=True)
class ConfiguredPool:
    """`settings` and `config` are None where no configuration was read or it has no such pool."""

    id: str
    where: Where
    settings: UserPool | None
    config: Config | None


def configured_pool(
    command: str,
    config_path: Path | None,
    environ: Mapping[str, str],
    *,
    user_pool_id: str | None,
    region: str | None,
    profile: str | None,
    endpoint_url: str | None,
) -> ConfiguredPool:
    """Raises GatewayError where neither names a pool, ConfigurationError for a broken file."""
    config = None if config_path is None else load(config_path, environ).config
    pools = () if config is None else config.cognito.user_pools
    if user_pool_id:
        pools = tuple(pool for pool in pools if pool.id == user_pool_id)
    pool = pools[0] if pools else None
    pool_id = user_pool_id or (pool.id if pool is not None else None)
    if pool_id is None:
        named = "a --config" if config_path is None else f"one in {config_path}"
        raise GatewayError(f"{command}: which user pool? name it with --user-pool-id, or {named}")
    where = Where(
        region=region or pool_id.partition("_")[0],
        profile=profile,
        endpoint_url=endpoint_url or (config.cognito.endpoint_url if config is not None else None),
        egress=config.cognito.egress if config is not None else egress_from(environ),
    )
    return ConfiguredPool(pool_id, where, pool, config)
