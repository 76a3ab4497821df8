"""Steps of `setup`: the user pool, its app client and its domain.

Invariant: a pool that `setup` did not create is reported by its differences, and changed only by `fix`.
"""

from __future__ import annotations

from typing import Any

from gateway.aws.clients import Aws
from gateway.aws.pool_settings import describe_client, describe_pool, update_client, update_pool
from gateway.aws.provision import wanted as w
from gateway.aws.provision.step import PAGE, Made, StepState, only
from gateway.aws.provision.wanted import TAG, Wanted
from gateway.errors import GatewayError


class UserPoolStep:
    title = "user pool"

    def __init__(self, aws: Aws, wanted: Wanted, pool_id: str | None = None) -> None:
        """`pool_id`: an existing pool to use, whatever its name."""
        self._aws, self._wanted, self._pool_id = aws, wanted, pool_id

    def look(self, made: Made) -> StepState:
        pool_id = self._pool_id or self._by_name()
        if pool_id is None:
            return StepState(self._wanted.name, None)
        made.pool_id = pool_id
        pool = describe_pool(self._aws, pool_id)
        if pool.get("Domain") or pool.get("CustomDomain"):
            made.domain = pool.get("CustomDomain") or pool.get("Domain")
        differences = w.difference_lines(self._settings(pool), pool)
        ours = self._is_ours(pool)
        return StepState(pool["Name"], pool_id, differences, ours, pool, w.lasting(pool) if ours else [])

    def make(self, made: Made) -> str:
        pool = self._aws.call(
            "cognito-idp",
            "CreateUserPool",
            PoolName=self._wanted.name,
            UserPoolTags={TAG: self._wanted.name},
            **w.fixed_pool_settings(),
            **w.pool_settings(self._wanted),
        )["UserPool"]
        made.pool_id = pool["Id"]
        return str(pool["Id"])

    def fix(self, made: Made, finding: StepState) -> None:
        changes = w.differences(self._settings(finding.described), finding.described)
        update_pool(self._aws, finding.described, changes)

    def _settings(self, pool: dict[str, Any]) -> dict[str, Any]:
        settings = w.pool_settings(self._wanted)
        # How users sign in and recover accounts is up to the pool's creator; what matters to us is who may
        # sign up.
        return (
            settings if self._is_ours(pool) else {"AdminCreateUserConfig": settings["AdminCreateUserConfig"]}
        )

    def _is_ours(self, pool: dict[str, Any]) -> bool:
        return bool(pool.get("UserPoolTags", {}).get(TAG) == self._wanted.name)

    def _by_name(self) -> str | None:
        pools = self._aws.pages("cognito-idp", "ListUserPools", "UserPools", MaxResults=PAGE)
        return only([pool["Id"] for pool in pools if pool["Name"] == self._wanted.name], self._wanted.name)

    def destroy(self, finding: StepState) -> None:
        # AWS refuses to delete a pool with a domain or with deletion protection.
        domain = finding.described.get("Domain")
        if domain:
            self._aws.call("cognito-idp", "DeleteUserPoolDomain", Domain=domain, UserPoolId=finding.found)
        if finding.described.get("DeletionProtection") == "ACTIVE":
            update_pool(self._aws, finding.described, {"DeletionProtection": "INACTIVE"})
        self._aws.call("cognito-idp", "DeleteUserPool", UserPoolId=finding.found)


class AppClient:
    title = "app client"

    def __init__(self, aws: Aws, wanted: Wanted) -> None:
        self._aws, self._wanted = aws, wanted

    def look(self, made: Made) -> StepState:
        name = self._wanted.name
        if made.pool_id is None:
            return StepState(name, None)
        clients = self._aws.pages(
            "cognito-idp",
            "ListUserPoolClients",
            "UserPoolClients",
            UserPoolId=made.pool_id,
            MaxResults=PAGE,
        )
        client_id = only([each["ClientId"] for each in clients if each["ClientName"] == name], name)
        if client_id is None:
            return StepState(name, None)
        made.client_id = client_id
        client = describe_client(self._aws, made.pool_id, client_id)
        # Removed: only its existence matters.
        secret = client.pop("ClientSecret", None) is not None
        differences = w.difference_lines(w.client_settings(self._wanted), client)
        if secret:
            differences.insert(0, "it has a secret, wanted none")
        return StepState(name, client_id, differences, described=client | {"secret": secret})

    def make(self, made: Made) -> str:
        client = self._aws.call(
            "cognito-idp",
            "CreateUserPoolClient",
            UserPoolId=made.pool_id,
            ClientName=self._wanted.name,
            GenerateSecret=False,
            **w.client_settings(self._wanted),
        )["UserPoolClient"]
        made.client_id = client["ClientId"]
        return str(client["ClientId"])

    def fix(self, made: Made, finding: StepState) -> None:
        if finding.described["secret"]:
            raise GatewayError(
                f"setup: app client {finding.found} has a secret, and AWS lets nobody take it away: leave "
                "--fix out and name it as client_secret_file, or choose another --pool-name"
            )
        update_client(
            self._aws,
            finding.described,
            w.differences(w.client_settings(self._wanted), finding.described),
        )


class Domain:
    """The domain of managed login. A pool has one prefix domain; AWS cannot rename it."""

    title = "domain"

    def __init__(self, aws: Aws, wanted: Wanted) -> None:
        assert wanted.domain_prefix is not None, "only where managed login is wanted"
        self._aws, self._prefix = aws, wanted.domain_prefix

    def look(self, made: Made) -> StepState:
        if made.domain is None:
            return StepState(self._prefix, None)
        if made.domain == self._prefix or "." in made.domain:
            return StepState(made.domain, made.domain)
        return StepState(made.domain, made.domain, [f"the pool has it already, wanted {self._prefix}"])

    def make(self, made: Made) -> str:
        self._aws.call("cognito-idp", "CreateUserPoolDomain", Domain=self._prefix, UserPoolId=made.pool_id)
        made.domain = self._prefix
        return self._prefix

    def fix(self, made: Made, finding: StepState) -> None:
        raise GatewayError(
            f"setup: the pool's domain is {finding.found}, and applications may use it: leave --fix and "
            "--domain out, or delete that domain first"
        )
