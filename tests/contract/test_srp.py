"""SRP spoken by a client that is not ours: pycognito."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pycognito.aws_srp import AWSSRP

from tests.support import local_cognito

PASSWORD = "Correct-Horse-1"


@pytest.fixture
def boto() -> Iterator[Any]:
    with local_cognito.running() as server:
        yield local_cognito.client(server.url)


@pytest.mark.parametrize("secret", [False, True])
def test_pycognito_signs_in_with_the_right_password_and_no_other(boto: Any, secret: bool) -> None:
    pool_id = boto.create_user_pool(PoolName="srp", UsernameAttributes=["email"])["UserPool"]["Id"]
    client = boto.create_user_pool_client(UserPoolId=pool_id, ClientName="c", GenerateSecret=secret)
    client = client["UserPoolClient"]
    user = {"UserPoolId": pool_id, "Username": "dora@example.com"}
    boto.admin_create_user(**user, MessageAction="SUPPRESS")
    boto.admin_set_user_password(**user, Password=PASSWORD, Permanent=True)

    def sign_in(password: str) -> Any:
        return AWSSRP(
            username="dora@example.com",
            password=password,
            pool_id=pool_id,
            client_id=client["ClientId"],
            client=boto,
            client_secret=client.get("ClientSecret"),
        ).authenticate_user()

    # Several times: paddings depend on random numbers.
    for _ in range(5):
        assert sign_in(PASSWORD)["AuthenticationResult"]["AccessToken"]
    with pytest.raises(ClientError, match="Incorrect username or password"):
        sign_in("totally-wrong")
