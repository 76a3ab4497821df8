"""Queries AWS about everything the configuration names, and runs the checks.

Invariant: a failed query is one finding, and never hides the others.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any

from gateway.aws.clients import Aws, AwsRefused, Where
from gateway.aws.pool_settings import describe_client, describe_pool, mfa_config
from gateway.commands.checkup.finding import Finding, broken, unknown
from gateway.commands.checkup.identity_findings import judge_identity_pool, judge_trust
from gateway.commands.checkup.passkey_findings import judge_passkeys, takes_passkeys
from gateway.commands.checkup.pool_findings import judge_client, judge_pool
from gateway.config.model import Config, UserPool
from gateway.errors import GatewayError
from gateway.terminal import waiting_for

_SIGN_IN = "pass --profile with credentials that can read them; `setup --iam-policy` prints the permissions"


def look(config: Config, pool: UserPool, *, profile: str | None, region: str | None) -> Iterator[Finding]:
    """Yield all findings about one configured pool. Raises nothing that a user can cause."""
    try:
        where = Where(region or pool.region, profile, config.cognito.endpoint_url, config.cognito.egress)
        aws = Aws(where, waiting_for)
    except GatewayError as error:
        yield unknown("AWS", str(error), _SIGN_IN)
        return
    about = f"user pool {pool.id}"
    fix = "check the ID, and that the pool is in this account and Region (the part before the underscore)"
    described = yield from _ask(about, fix, lambda: describe_pool(aws, pool.id))
    if described is None:
        return
    yield from judge_pool(described, pool, config)
    if takes_passkeys(described, pool, config):
        settings = yield from _ask(about, fix, lambda: mfa_config(aws, pool.id))
        if settings is not None:
            yield from judge_passkeys(settings, pool, config)
    for client_id in pool.client_ids:
        yield from _client(aws, config, pool, client_id)
    if pool.identity_pool_id is not None:
        yield from _identity(aws, pool, pool.identity_pool_id)


def _client(aws: Aws, config: Config, pool: UserPool, client_id: str) -> Iterator[Finding]:
    fix = "check client_ids against the pool's app clients"
    client = yield from _ask(f"app client {client_id}", fix, lambda: describe_client(aws, pool.id, client_id))
    if client is not None:
        yield from judge_client(client, pool, config)


def _identity(aws: Aws, pool: UserPool, identity_pool_id: str) -> Iterator[Finding]:
    about = f"identity pool {identity_pool_id}"
    fix = "check identity_pool_id, or create one with `cognito-gateway setup --identity-pool`"
    described = yield from _ask(
        about,
        fix,
        lambda: aws.call("cognito-identity", "DescribeIdentityPool", IdentityPoolId=identity_pool_id),
    )
    if described is None:
        return
    roles = yield from _ask(
        about,
        fix,
        lambda: aws.call("cognito-identity", "GetIdentityPoolRoles", IdentityPoolId=identity_pool_id),
    )
    if roles is None:
        return
    yield from judge_identity_pool(described, roles, pool)
    arn = roles.get("Roles", {}).get("authenticated")
    if arn:
        name = arn.rpartition("/")[2]
        role = yield from _ask(
            f"IAM role {name}",
            "create it again with `cognito-gateway setup --identity-pool`",
            lambda: aws.call("iam", "GetRole", RoleName=name)["Role"],
        )
        if role is not None:
            yield from judge_trust(role, identity_pool_id)


def _ask(
    about: str, fix: str, call: Callable[[], dict[str, Any]]
) -> Generator[Finding, None, dict[str, Any] | None]:
    """Return the response; after an error, yield a finding about it and return None."""
    try:
        return call()
    except AwsRefused as refused:
        if refused.missing:
            yield broken(about, "does not exist here", "everything that depends on it is refused", fix)
        else:
            yield unknown(about, str(refused), _SIGN_IN)
    except GatewayError as error:
        yield unknown(about, str(error), _SIGN_IN)
    return None
