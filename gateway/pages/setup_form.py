"""A connection that somebody typed into the set-up form: its four values, and whether they are what they say.

The key set is fetched, the app client is tried with a sign-in that cannot succeed, and the identity pool is
asked for an identity without a login; nothing of it needs AWS credentials. That the client belongs to this
very pool Cognito tells only those who may describe it: it is checked where the gateway has such credentials.

Invariant: only hosts that follow from a well-formed region, or from cognito.endpoint_url, are asked.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.aws import phrases
from gateway.aws.values import CognitoRefused, Flow, PoolAddress
from gateway.config import complete, shapes
from gateway.config.model import Cognito
from gateway.errors import GatewayError
from gateway.keys.fetch import FetchFailed, HttpSource
from gateway.pages.user_pool_access import FLOWS
from gateway.sessions.threads import Threads
from gateway.tokens.jwk import KeySetRefused, parse_key_set

FIELDS = ("region", "user_pool_id", "client_id", "identity_pool_id")
# botocore's endpoint rules, regionRegex of the partitions: eu-central-1, us-gov-west-1, eusc-de-east-1.
_REGION = re.compile(r"[a-z]{2,5}(?:-[a-z]{2,10}){1,3}-[0-9]{1,2}")
# Refused as somebody nobody knows: by Cognito itself, or by a Lambda of the pool's that is asked before it.
_OF_THE_USER = frozenset({"NotAuthorizedException", "UserNotFoundException", "UserLambdaValidationException"})
_BUSY = frozenset({"TooManyRequestsException", "InternalErrorException"})
_NO_ANSWER = "Cognito did not answer: try again in a minute"
_EMPTY = {"user_pool_id": "Enter the user pool ID", "client_id": "Enter the app client ID"}


@dataclass(frozen=True, slots=True)
class PoolConnection:
    region: str
    user_pool_id: str
    client_id: str
    identity_pool_id: str

    @property
    def as_pool(self) -> dict[str, Any]:
        """The item of cognito.user_pools."""
        return {
            "id": self.user_pool_id,
            "client_ids": [self.client_id],
            "identity_pool_id": self.identity_pool_id,
        }


def read(form: Mapping[str, str]) -> tuple[PoolConnection, dict[str, str]]:
    """The values as typed, and a sentence for each that cannot be one. Pure."""
    connection = PoolConnection(*(form.get(name, "").strip() for name in FIELDS))
    errors = {}
    if not _REGION.fullmatch(connection.region):
        errors["region"] = "Enter the region's name, such as eu-central-1"
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
        except ValueError as error:
            errors[name] = f"{str(error)[:1].upper()}{str(error)[1:]}" if value else _EMPTY[name]
    pool_region = connection.user_pool_id.partition("_")[0]
    if not errors.keys() & {"region", "user_pool_id"} and pool_region != connection.region:
        errors["region"] = f"The user pool is in {pool_region}"
    return connection, errors


async def check(
    connection: PoolConnection, *, cognito: Cognito, auth_flow: str, threads: Threads, by: str
) -> dict[str, str]:
    """Field → what is wrong with it at Cognito; empty when it can be connected. `by`: who asks."""
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
        told = await threads.run(_client(address, flow, auth_flow), by=by)
        told = told or await threads.run(lambda: _another_pools(address), by=by)
        if told is None and connection.identity_pool_id:
            field = "identity_pool_id"
            told = await threads.run(lambda: _identity_pool(connection, address), by=by)
    except GatewayError:
        told = _NO_ANSWER
    return {} if told is None else {field: told}


async def _key_set(connection: PoolConnection, cognito: Cognito) -> dict[str, str] | None:
    url = complete.jwks_url(None, complete.issuers(connection.user_pool_id, None, cognito.issuing_endpoint))
    try:
        parse_key_set(await HttpSource(url, cognito.egress).read())
    except FetchFailed as failed:
        if failed.reason == "status":
            return {"user_pool_id": f"Cognito knows no such user pool in {connection.region}"}
        return {
            "region": f"Cognito in {connection.region} cannot be reached from this gateway ({failed.reason})"
        }
    except KeySetRefused:
        return {"user_pool_id": "The pool's keys are not what Cognito publishes"}
    return None


def _client(address: PoolAddress, flow: Flow, auth_flow: str) -> Callable[[], str | None]:
    """Signs in as nobody, and reads what is wrong with the app client from the refusal."""

    def ask() -> str | None:
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


def _another_pools(address: PoolAddress) -> str | None:
    """Whether the app client is one of another pool, where AWS credentials of the gateway's let it look."""
    from gateway.aws.clients import Aws, Where  # noqa: PLC0415 - boto3 loads in the thread

    pool_id = address.user_pool_id
    where = Where(pool_id.partition("_")[0], endpoint_url=address.endpoint_url, egress=address.egress)
    try:
        Aws(where).call(
            "cognito-idp", "DescribeUserPoolClient", UserPoolId=pool_id, ClientId=address.client_id
        )
    except CognitoRefused as refused:
        if refused.code == "ResourceNotFoundException":
            return "This app client belongs to another user pool"
    except GatewayError:
        return None  # no credentials: as said above
    return None


def _identity_pool(connection: PoolConnection, address: PoolAddress) -> str | None:
    from gateway.aws.identity_pool import IdentityPool  # noqa: PLC0415 - boto3 loads in the thread

    pool = IdentityPool(
        connection.identity_pool_id,
        connection.user_pool_id,
        endpoint_url=address.endpoint_url,
        egress=address.egress,
    )
    return None if pool.exists() else "Cognito knows no such identity pool"


def verdict_of(refused: CognitoRefused, auth_flow: str) -> str | None:
    """What Cognito's refusal of nobody's sign-in says about the client; None: that it is one. Pure."""
    if refused.code == "ResourceNotFoundException":
        return "Cognito knows no such app client in this region"
    if phrases.flow_not_enabled(refused.code, refused.message):
        return f"This app client does not allow {auth_flow}: allow it, or set sign_in.auth_flow"
    if phrases.needs_secret(refused.code, refused.message):
        return "This app client has a secret: use one without, or the configuration file (client_secret_file)"
    if refused.code in _OF_THE_USER:
        return None
    if refused.code in _BUSY:
        return _NO_ANSWER
    return f"Cognito does not take this app client ({refused.code})"
