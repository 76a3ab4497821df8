"""The emulator's operations without HTTP, with a clock that the test sets."""

from __future__ import annotations

import base64
import hashlib
import hmac
from concurrent.futures import Future
from typing import Any

import jwt
import pytest

from local_cognito import keys, operations
from local_cognito.errors import AwsError
from local_cognito.state import State
from tests.support.local_cognito import Clock

PASSWORD = "Correct-Horse-1"
TEMPORARY = "Temporary-1"
FLOWS = ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]


class Cognito:
    """A state with a pool, a client, and alice, who has a permanent password."""

    def __init__(self, pool_keys: keys.PoolKeys) -> None:
        done: Future[keys.PoolKeys] = Future()
        done.set_result(pool_keys)
        self.clock = Clock()
        self.state = State(region="us-east-1", url="http://127.0.0.1:9229", new_keys=lambda: done)
        self.pool_id = self.new_pool()
        self.client_id = self.new_client()
        self.new_user("alice", PASSWORD)

    def call(self, operation: str, **request: Any) -> dict[str, Any]:
        return operations.call(self.state, operation, request, self.clock.now)

    def refused(self, operation: str, **request: Any) -> tuple[str, str]:
        """Return the refusal's type and message; fails if the call succeeds."""
        with pytest.raises(AwsError) as caught:
            self.call(operation, **request)
        return caught.value.type, caught.value.message

    def new_pool(self, **settings: Any) -> str:
        """Create a pool with case-insensitive usernames, as `setup` does."""
        folding = {"UsernameConfiguration": {"CaseSensitive": False}}
        return str(self.call("CreateUserPool", PoolName="test", **folding | settings)["UserPool"]["Id"])

    def new_client(self, pool_id: str | None = None, **settings: Any) -> str:
        request = {"ExplicitAuthFlows": FLOWS, **settings}
        made = self.call(
            "CreateUserPoolClient", UserPoolId=pool_id or self.pool_id, ClientName="c", **request
        )
        return str(made["UserPoolClient"]["ClientId"])

    def new_user(
        self, name: str, password: str | None = None, pool_id: str | None = None, **more: Any
    ) -> str:
        """Create a user and return the username; without a password, the user has the temporary one."""
        where = {"UserPoolId": pool_id or self.pool_id, "Username": name}
        request = {"TemporaryPassword": TEMPORARY, "MessageAction": "SUPPRESS", **more}
        made = self.call("AdminCreateUser", **where, **request)["User"]
        if password is not None:
            self.call("AdminSetUserPassword", **where, Password=password, Permanent=True)
        return str(made["Username"])

    def password_request(self, name: str = "alice", password: str = PASSWORD, **more: str) -> dict[str, Any]:
        return {
            "ClientId": more.pop("client_id", self.client_id),
            "AuthFlow": "USER_PASSWORD_AUTH",
            "AuthParameters": {"USERNAME": name, "PASSWORD": password, **more},
        }

    def sign_in(self, name: str = "alice", password: str = PASSWORD, **more: str) -> dict[str, Any]:
        """Sign in; return the AuthenticationResult."""
        answer = self.call("InitiateAuth", **self.password_request(name, password, **more))
        return dict(answer["AuthenticationResult"])

    def sign_in_refused(self, name: str = "alice", password: str = PASSWORD, **more: str) -> tuple[str, str]:
        return self.refused("InitiateAuth", **self.password_request(name, password, **more))

    def refresh_request(self, token: str, client_id: str | None = None, **more: str) -> dict[str, Any]:
        return {
            "ClientId": client_id or self.client_id,
            "AuthFlow": "REFRESH_TOKEN_AUTH",
            "AuthParameters": {"REFRESH_TOKEN": token, **more},
        }

    def secret_hash(self, client_id: str, username: str) -> str:
        secret = self.state.client(client_id)[1].secret
        assert secret is not None
        message = (username + client_id).encode()
        return base64.b64encode(hmac.digest(secret.encode(), message, hashlib.sha256)).decode()


def claims(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, options={"verify_signature": False}))
