"""Identity pool client: exchanges an ID token for temporary AWS credentials (AWS: enhanced authentication
flow).

Both operations are unsigned: the ID token is the only proof. Invariant: neither the token nor the credentials
appear in a repr or in an exception's text.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import jwt

from gateway.aws.clients import Aws, AwsRefused, Where
from gateway.aws.values import Waiting, in_silence
from gateway.config.model import Egress
from gateway.errors import GatewayError


def role_of(id_token: str, wanted: str) -> str:
    """Return the ARN of the user's role with this name or ARN. Raises GatewayError.

    The token is the caller's own and only decoded here: AWS verifies it.
    """
    try:
        unverified = jwt.decode(id_token, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        raise GatewayError("credentials: --role: the ID token is malformed") from None
    roles = [each for each in unverified.get("cognito:roles", []) if isinstance(each, str)]
    found = [each for each in roles if wanted in {each, each.rpartition("/")[2]}]
    if len(found) == 1:
        return found[0]
    has = ", ".join(roles) or "none: give one of the user's groups a role"
    raise GatewayError(f"credentials: --role {wanted}: not one of the user's roles (cognito:roles: {has})")


@dataclass(frozen=True, slots=True)
class Credentials:
    """Temporary AWS credentials. `expires` is epoch seconds; `identity_id` names the user in the identity
    pool."""

    identity_id: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expires: float


class IdentityPool:
    """One identity pool. Methods raise GatewayError; AwsRefused if AWS refuses. Thread-safe."""

    def __init__(
        self,
        identity_pool_id: str,
        user_pool_id: str,
        *,
        endpoint_url: str | None,
        egress: Egress,
        waiting: Waiting = in_silence,
    ) -> None:
        self._id = identity_pool_id
        region = user_pool_id.partition("_")[0]
        # API reference, GetId: the user pool's provider name in `Logins`.
        self._login = f"cognito-idp.{region}.amazonaws.com/{user_pool_id}"
        where = Where(region=identity_pool_id.partition(":")[0], endpoint_url=endpoint_url, egress=egress)
        self._aws = Aws(where, waiting)
        # Created here: boto3's clients are thread-safe, creating one is not.
        self._aws.client("cognito-identity", signed=False)

    def exists(self) -> bool:
        """Return whether the identity pool exists. One that allows guests creates an identity for the
        call."""
        try:
            self._aws.call("cognito-identity", "GetId", signed=False, IdentityPoolId=self._id)
        except AwsRefused as refused:
            # The answer without guest access: "Unauthenticated access is not supported for this identity
            # pool."
            if refused.code != "NotAuthorizedException":
                if refused.missing:
                    return False
                raise
        return True

    def credentials(self, id_token: str, role: str | None = None) -> Credentials:
        """Return credentials of the pool's default role, or of `role`, an ARN in the token's
        `cognito:roles`."""
        logins = {self._login: id_token}
        found = self._aws.call(
            "cognito-identity", "GetId", signed=False, IdentityPoolId=self._id, Logins=logins
        )
        identity_id = found["IdentityId"]
        answer = self._aws.call(
            "cognito-identity",
            "GetCredentialsForIdentity",
            signed=False,
            IdentityId=identity_id,
            Logins=logins,
            **({} if role is None else {"CustomRoleArn": role}),
        )
        given = answer.get("Credentials") or {}
        try:
            return Credentials(
                identity_id=identity_id,
                access_key_id=given["AccessKeyId"],
                secret_access_key=given["SecretKey"],
                session_token=given["SessionToken"],
                expires=given["Expiration"].timestamp(),
            )
        except KeyError:
            raise GatewayError("the identity pool answered without credentials") from None
