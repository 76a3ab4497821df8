"""A local Cognito as boto3 meets it over a socket: pools, clients, users, refusals."""

from __future__ import annotations

import base64
import hmac
import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import botocore.exceptions
import pytest

from local_cognito.server import LocalCognito
from tests.support.emulator import PASSWORD
from tests.support.local_cognito import Clock, client, running

FLOWS = [
    "ALLOW_USER_PASSWORD_AUTH",
    "ALLOW_USER_AUTH",
    "ALLOW_USER_SRP_AUTH",
    "ALLOW_ADMIN_USER_PASSWORD_AUTH",
    "ALLOW_REFRESH_TOKEN_AUTH",
]


class Aws:
    """One server for many tests; each makes a pool of its own."""

    def __init__(self, local: LocalCognito, clock: Clock) -> None:
        self.local, self.clock = local, clock
        self.idp = client(local.url)

    def refused(self, operation: str, **request: Any) -> tuple[str, str]:
        """Return the refusal's code and message; fails if the call succeeds."""
        with pytest.raises(botocore.exceptions.ClientError) as caught:
            getattr(self.idp, operation)(**request)
        error = caught.value.response["Error"]
        return error["Code"], error["Message"]

    def secret_hash(self, made: dict[str, Any], username: str) -> str:
        """Return the SECRET_HASH for a client that was just made."""
        digest = hmac.digest(made["ClientSecret"].encode(), (username + made["ClientId"]).encode(), "sha256")
        return base64.b64encode(digest).decode()

    def read(self, path: str) -> Any:
        with urllib.request.urlopen(self.local.url + path, timeout=60) as answer:
            return json.loads(answer.read())

    def pool(self, **settings: Any) -> AwsPool:
        return AwsPool(self, self.idp.create_user_pool(PoolName="p", **settings)["UserPool"]["Id"])


class AwsPool:
    """A pool with an app client, and alice, who has a password."""

    def __init__(self, aws: Aws, pool_id: str) -> None:
        self.aws, self.idp, self.id = aws, aws.idp, pool_id
        self.client_id = self.client()["ClientId"]
        self.user("alice")

    def client(self, **settings: Any) -> dict[str, Any]:
        request = {"ClientName": "c", "ExplicitAuthFlows": FLOWS, **settings}
        return dict(self.idp.create_user_pool_client(UserPoolId=self.id, **request)["UserPoolClient"])

    def user(self, name: str, **attributes: str) -> None:
        where = {"UserPoolId": self.id, "Username": name}
        given = [{"Name": key, "Value": value} for key, value in attributes.items()]
        self.idp.admin_create_user(**where, UserAttributes=given, MessageAction="SUPPRESS")
        self.idp.admin_set_user_password(**where, Password=PASSWORD, Permanent=True)

    def sign_in(self, name: str = "alice", client_id: str | None = None, **more: Any) -> dict[str, Any]:
        """Sign in by password; return the AuthenticationResult."""
        answer = self.idp.initiate_auth(
            ClientId=client_id or self.client_id,
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": name, "PASSWORD": PASSWORD, **more.pop("parameters", {})},
            **more,
        )
        return dict(answer["AuthenticationResult"])


@contextmanager
def serving_boto3() -> Iterator[Aws]:
    clock = Clock()
    with running(clock=clock) as local:
        yield Aws(local, clock)
