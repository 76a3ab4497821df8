"""A connection as entered in the set-up form: its four values, and checks of them at Cognito.

It fetches the key set, tries the app client with a sign-in that cannot succeed, and asks the identity pool
for an identity without a login; none of this needs AWS credentials. Whether the client belongs to this pool
is checked only where the gateway has credentials that allow DescribeUserPoolClient.

Invariant: only hosts derived from a well-formed region, or from cognito.endpoint_url, are called.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gateway.aws import phrases
from gateway.aws.values import CognitoRefused, Flow, PoolAddress
from gateway.config import complete, shapes
from gateway.config.model import Cognito
from gateway.errors import GatewayError
from gateway.keys.fetch import FetchFailed, HttpSource
from gateway.pages.user_pool_access import FLOWS
from gateway.sessions.threads import Threads
from gateway.texts import Text
from gateway.tokens.jwk import KeySetRefused, parse_key_set

FIELDS = ("region", "user_pool_id", "client_id", "identity_pool_id")
# botocore's endpoint rules, regionRegex of the partitions: eu-central-1, us-gov-west-1, eusc-de-east-1.
_REGION = re.compile(r"[a-z]{2,5}(?:-[a-z]{2,10}){1,3}-[0-9]{1,2}")
# The refusal of an unknown user: by Cognito itself, or by one of the pool's Lambda triggers before it.
_OF_THE_USER = frozenset({"NotAuthorizedException", "UserNotFoundException", "UserLambdaValidationException"})
_BUSY = frozenset({"TooManyRequestsException", "InternalErrorException"})
_NO_ANSWER = Text("Cognito did not answer. Try again in a minute")
_EMPTY = {"user_pool_id": Text("Enter the user pool ID"), "client_id": Text("Enter the app client ID")}
_MALFORMED = {
    "user_pool_id": Text("This isn't a user pool ID, such as eu-central-1_AbCdEfGhI"),
    "client_id": Text("This isn't an app client ID, such as 1example23456789"),
    "identity_pool_id": Text("This isn't an identity pool ID, such as eu-central-1:00000000-…"),
}


@dataclass(frozen=True, slots=True)
class PoolConnection:
    region: str
    user_pool_id: str
    client_id: str
    identity_pool_id: str

    @property
    def as_pool(self) -> dict[str, Any]:
        """Return the item of cognito.user_pools."""
        return {
            "id": self.user_pool_id,
            "client_ids": [self.client_id],
            "identity_pool_id": self.identity_pool_id,
        }


def read(form: Mapping[str, str]) -> tuple[PoolConnection, dict[str, Text]]:
    """Return the values as typed, and a message for each that is malformed. Pure."""
    connection = PoolConnection(*(form.get(name, "").strip() for name in FIELDS))
    if not connection.region:
        # A user pool's ID begins with it.
        connection = replace(connection, region=connection.user_pool_id.partition("_")[0])
    errors: dict[str, Text] = {}
    if form.get("region", "").strip() and not _REGION.fullmatch(connection.region):
        errors["region"] = Text("Enter the region's name, such as eu-central-1")
    for name, kind, wanted in (
        ("user_pool_id", shapes.POOL_ID, True),
        ("client_id", shapes.CLIENT_ID, True),
        ("identity_pool_id", shapes.IDENTITY_POOL_ID, False),
    ):
        value = getattr(connection, name)
        if not value and not wanted:
            continue
        try:
            kind.parse(value)
        except ValueError:
            errors[name] = _MALFORMED[name] if value else _EMPTY[name]
    pool_region = connection.user_pool_id.partition("_")[0]
    if not errors.keys() & {"region", "user_pool_id"} and pool_region != connection.region:
        errors["region"] = Text("The user pool is in {region}", region=pool_region)
    return connection, errors


async def check(
    connection: PoolConnection, *, cognito: Cognito, auth_flow: str, threads: Threads, by: str
) -> dict[str, Text]:
    """Return messages by field for what is wrong at Cognito; empty if all is well. `by`: the client's
    address."""
    sentence = await _key_set(connection, cognito)
    if sentence is not None:
        return sentence
    address = PoolAddress(
        connection.user_pool_id,
        connection.client_id,
        endpoint_url=cognito.endpoint_url,
        egress=cognito.egress,
    )
    flow, field = FLOWS[auth_flow], "client_id"
    try:
        problem = await threads.run(_client(address, flow, auth_flow), by=by)
        problem = problem or await threads.run(lambda: _another_pools(address), by=by)
        if problem is None and connection.identity_pool_id:
            field = "identity_pool_id"
            problem = await threads.run(lambda: _identity_pool(connection, address), by=by)
    except GatewayError:
        problem = _NO_ANSWER
    return {} if problem is None else {field: problem}


async def _key_set(connection: PoolConnection, cognito: Cognito) -> dict[str, Text] | None:
    url = complete.jwks_url(None, complete.issuers(connection.user_pool_id, None, cognito.issuing_endpoint))
    try:
        parse_key_set(await HttpSource(url, cognito.egress).read())
    except FetchFailed as failed:
        if failed.reason == "status":
            return {
                "user_pool_id": Text("No user pool with this ID exists in {region}", region=connection.region)
            }
        return {
            "region": Text(
                "Cognito in {region} cannot be reached from this gateway ({reason})",
                region=connection.region,
                reason=failed.reason,
            )
        }
    except KeySetRefused:
        return {"user_pool_id": Text("The pool's key set is not valid")}
    return None


def _client(address: PoolAddress, flow: Flow, auth_flow: str) -> Callable[[], Text | None]:
    """Return a call that signs in as an unknown user and interprets the refusal."""

    def ask() -> Text | None:
        from gateway.aws.user_pool import UserPoolClient  # noqa: PLC0415 - boto3 loads in the thread

        try:
            pool = UserPoolClient(address, flow)
            nobody = f"set-up-{secrets.token_hex(8)}@example.invalid"
            if flow == "choice":
                pool.begin(nobody)
            else:
                pool.sign_in(nobody, secrets.token_urlsafe(24))
        except CognitoRefused as refused:
            return verdict_of(refused, auth_flow)
        return None

    return ask


def _another_pools(address: PoolAddress) -> Text | None:
    """Check whether the app client belongs to another pool, where the gateway has credentials to look."""
    from gateway.aws.clients import Aws, Where  # noqa: PLC0415 - boto3 loads in the thread

    pool_id = address.user_pool_id
    where = Where(pool_id.partition("_")[0], endpoint_url=address.endpoint_url, egress=address.egress)
    try:
        Aws(where).call(
            "cognito-idp", "DescribeUserPoolClient", UserPoolId=pool_id, ClientId=address.client_id
        )
    except CognitoRefused as refused:
        if refused.code == "ResourceNotFoundException":
            return Text("This app client belongs to another user pool")
    except GatewayError:
        return None  # no credentials
    return None


def _identity_pool(connection: PoolConnection, address: PoolAddress) -> Text | None:
    from gateway.aws.identity_pool import IdentityPool  # noqa: PLC0415 - boto3 loads in the thread

    pool = IdentityPool(
        connection.identity_pool_id,
        connection.user_pool_id,
        endpoint_url=address.endpoint_url,
        egress=address.egress,
    )
    return None if pool.exists() else Text("No identity pool with this ID exists")


def verdict_of(refused: CognitoRefused, auth_flow: str) -> Text | None:
    """Return what the refusal of an unknown user says against the app client; None if nothing. Pure."""
    if refused.code == "ResourceNotFoundException":
        return Text("No app client with this ID exists in this region")
    if phrases.flow_not_enabled(refused.code, refused.message):
        return Text(
            "This app client does not allow {flow}: enable it, or set sign_in.auth_flow", flow=auth_flow
        )
    if phrases.needs_secret(refused.code, refused.message):
        return Text(
            "This app client has a secret: use one without, or the configuration file (client_secret_file)"
        )
    if refused.code in _OF_THE_USER:
        return None
    if refused.code in _BUSY:
        return _NO_ANSWER
    return Text("Cognito does not accept this app client ({code})", code=refused.code)
