"""New tokens for a refresh token, and the end of both, at a local Cognito over the wire."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from gateway.aws.cognito_client import CognitoClient
from gateway.aws.renewal import Renewal
from gateway.aws.values import CognitoRefused, PoolAddress, Tokens
from gateway.errors import GatewayError
from local_cognito.server import LocalCognito
from tests.support import local_cognito

PASSWORD = "Correct-Horse-1"
FLOWS = ["ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_PASSWORD_AUTH"]


@pytest.fixture(scope="module")
def local() -> Iterator[LocalCognito]:
    with local_cognito.running() as started:
        yield started


class Signed:
    """alice, signed in at a client with these settings."""

    def __init__(self, local: LocalCognito, **client: Any) -> None:
        self.api = local_cognito.client(local.url)
        self.pool_id = self.api.create_user_pool(PoolName="p")["UserPool"]["Id"]
        made = self.api.create_user_pool_client(
            UserPoolId=self.pool_id, ClientName="c", **{"ExplicitAuthFlows": FLOWS, **client}
        )["UserPoolClient"]
        self.api.admin_create_user(UserPoolId=self.pool_id, Username="alice")
        self.api.admin_set_user_password(
            UserPoolId=self.pool_id, Username="alice", Password=PASSWORD, Permanent=True
        )
        address = PoolAddress(
            self.pool_id, made["ClientId"], made.get("ClientSecret"), endpoint_url=local.url
        )
        self.address = address
        self.renewal = Renewal(address)
        from gateway.aws.user_pool import UserPoolClient

        tokens = UserPoolClient(address, "password").sign_in("alice", PASSWORD)
        assert isinstance(tokens, Tokens)
        self.tokens = tokens


@pytest.mark.parametrize("secret", [False, True])
def test_new_tokens_and_the_same_refresh_token(local: LocalCognito, secret: bool) -> None:
    signed = Signed(local, GenerateSecret=secret)
    new = signed.renewal.renew(signed.tokens.refresh, "alice")
    assert new.access not in {"", signed.tokens.access}
    assert new.id
    assert new.refresh == signed.tokens.refresh


@pytest.mark.parametrize("secret", [False, True])
def test_where_refresh_tokens_rotate(local: LocalCognito, secret: bool) -> None:
    rotation = {"Feature": "ENABLED", "RetryGracePeriodSeconds": 0}
    flows = ["ALLOW_USER_PASSWORD_AUTH"]
    signed = Signed(local, GenerateSecret=secret, RefreshTokenRotation=rotation, ExplicitAuthFlows=flows)
    new = signed.renewal.renew(signed.tokens.refresh, "alice")
    assert new.refresh != signed.tokens.refresh
    assert signed.renewal.renew(new.refresh, "alice").refresh != new.refresh
    with pytest.raises(CognitoRefused) as caught:
        signed.renewal.renew(signed.tokens.refresh, "alice")
    assert caught.value.code == "RefreshTokenReuseException"


def test_after_a_sign_out_there_are_none(local: LocalCognito) -> None:
    signed = Signed(local)
    signed.renewal.revoke(signed.tokens.refresh)
    with pytest.raises(CognitoRefused) as caught:
        signed.renewal.renew(signed.tokens.refresh, "alice")
    assert caught.value.code == "NotAuthorizedException"
    assert signed.tokens.refresh not in str(caught.value)


def test_a_sign_out_everywhere_ends_the_others_too(local: LocalCognito) -> None:
    signed = Signed(local)
    signed.renewal.sign_out_everywhere(signed.tokens.access)
    with pytest.raises(CognitoRefused):
        signed.renewal.renew(signed.tokens.refresh, "alice")
    with pytest.raises(CognitoRefused):
        signed.renewal.sign_out_everywhere(signed.tokens.access)


def test_a_cognito_that_is_not_there_is_no_refusal() -> None:
    renewal = Renewal(PoolAddress("us-east-1_a", "1client", endpoint_url="http://127.0.0.1:1"))
    with pytest.raises(GatewayError) as caught:
        renewal.renew("secret-token", "alice")
    assert not isinstance(caught.value, CognitoRefused)
    assert "secret-token" not in str(caught.value)


@pytest.mark.parametrize("secret", [False, True])
def test_both_operations_name_the_device(local: LocalCognito, secret: bool) -> None:
    from gateway.aws.user_pool import UserPoolClient

    flows = ["ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_SRP_AUTH", "ALLOW_USER_PASSWORD_AUTH"]
    signed = Signed(local, GenerateSecret=secret, ExplicitAuthFlows=flows)
    signed.api.update_user_pool(
        UserPoolId=signed.pool_id, DeviceConfiguration={"DeviceOnlyRememberedOnUserPrompt": True}
    )
    with pytest.raises(CognitoRefused):
        signed.renewal.renew(signed.tokens.refresh, "alice")
    pool = UserPoolClient(signed.address, "srp")
    tokens = pool.sign_in("alice", PASSWORD)
    assert isinstance(tokens, Tokens)
    confirmed = pool.confirm_device(tokens)
    assert confirmed.device_key
    assert pool.confirm_device(confirmed) is confirmed, "once is enough"
    old = Renewal(signed.address, Old(signed.address))
    for renewal in (signed.renewal, old):
        new = renewal.renew(confirmed.refresh, "alice", confirmed.device_key)
        assert new.device_key == confirmed.device_key
        with pytest.raises(CognitoRefused):
            renewal.renew(confirmed.refresh, "alice")
    signed.renewal.forget_device(confirmed.access, confirmed.device_key)
    # Done already, or its access token has ended: nothing that would keep a sign-out from going on.
    signed.renewal.forget_device(confirmed.access, confirmed.device_key)
    with pytest.raises(CognitoRefused):
        signed.renewal.renew(confirmed.refresh, "alice", confirmed.device_key)


class Old(CognitoClient):
    """A connection to an API that does not know GetTokensFromRefreshToken."""

    def __init__(self, address: PoolAddress, code: str = "UnknownOperationException") -> None:
        super().__init__(address, "password")
        self.code = code
        self.called: list[str] = []

    def call(self, method: str, **request: Any) -> Any:
        self.called.append(method)
        if method == "get_tokens_from_refresh_token":
            raise CognitoRefused(self.code, "not now")
        return super().call(method, **request)


def test_the_older_operation_where_there_is_no_newer_one(local: LocalCognito) -> None:
    signed = Signed(local, GenerateSecret=True)
    old = Old(signed.address)
    assert Renewal(signed.address, old).renew(signed.tokens.refresh, "alice").refresh == signed.tokens.refresh
    assert old.called == ["get_tokens_from_refresh_token", "initiate_auth"]


@pytest.mark.parametrize(
    "code", ["InternalErrorException", "ForbiddenException", "UserLambdaValidationException"]
)
def test_a_cognito_that_is_unwell_is_not_asked_by_the_operation_that_rotation_refuses(
    local: LocalCognito, code: str
) -> None:
    rotation = {"Feature": "ENABLED", "RetryGracePeriodSeconds": 0}
    flows = ["ALLOW_USER_PASSWORD_AUTH"]
    signed = Signed(local, RefreshTokenRotation=rotation, ExplicitAuthFlows=flows)
    renewal = Renewal(signed.address, Old(signed.address, code))
    with pytest.raises(CognitoRefused) as caught:
        renewal.renew(signed.tokens.refresh, "alice")
    assert caught.value.code == code, "and not what rotation makes of the older one"
