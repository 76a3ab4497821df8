"""The contract, continued: accounts, groups and pool settings, on every implementation.

moto takes any code for a sign-up and tells a reset code in a header only; ours sends both to its outbox.
"""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest

PASSWORD, NEW = "Correct-Horse-1", "Another-Horse-2"


class Account:
    """A pool that signs in by e-mail, a client of it, and nobody in it."""

    def __init__(self, cognito: Any) -> None:
        self.cognito = cognito
        self.id = cognito.create_user_pool(
            PoolName="account", UsernameAttributes=["email"], AutoVerifiedAttributes=["email"]
        )["UserPool"]["Id"]
        self.client_id = cognito.create_user_pool_client(
            UserPoolId=self.id, ClientName="app", ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"]
        )["UserPoolClient"]["ClientId"]
        self.named = {"ClientId": self.client_id, "Username": "bob@example.com"}

    def code(self, answer: Any) -> str:
        headers = answer["ResponseMetadata"]["HTTPHeaders"]
        if "x-moto-forgot-password-confirmation-code" in headers:
            return str(headers["x-moto-forgot-password-confirmation-code"])
        # moto's pool IDs are longer than Cognito's.
        if len(self.id.partition("_")[2]) != 9:
            return "123456"
        with urllib.request.urlopen(f"{self.cognito.meta.endpoint_url}/_outbox") as outbox:
            return str(json.load(outbox)[-1]["code"])

    def sign_up(self) -> str:
        """The sub of somebody who is confirmed."""
        answer = self.cognito.sign_up(**self.named, Password=PASSWORD)
        self.cognito.confirm_sign_up(**self.named, ConfirmationCode=self.code(answer))
        return str(answer["UserSub"])

    def sign_in(self, password: str = PASSWORD) -> Any:
        return self.cognito.initiate_auth(
            ClientId=self.client_id,
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": "bob@example.com", "PASSWORD": password},
        )["AuthenticationResult"]


@pytest.fixture
def account(cognito: Any) -> Account:
    return Account(cognito)


def test_signing_up_confirming_and_signing_in(cognito: Any, account: Account) -> None:
    answer = cognito.sign_up(**account.named, Password=PASSWORD)
    assert answer["UserConfirmed"] is False
    with pytest.raises(cognito.exceptions.UserNotConfirmedException):
        account.sign_in()
    cognito.confirm_sign_up(**account.named, ConfirmationCode=account.code(answer))
    assert account.sign_in()["AccessToken"]
    user = cognito.admin_get_user(UserPoolId=account.id, Username="bob@example.com")
    assert user["UserStatus"] == "CONFIRMED"
    assert {"Name": "sub", "Value": answer["UserSub"]} in user["UserAttributes"]


def test_a_name_is_taken_once(cognito: Any, account: Account) -> None:
    account.sign_up()
    with pytest.raises(cognito.exceptions.UsernameExistsException):
        cognito.sign_up(**account.named, Password=PASSWORD)


def test_a_weak_password_is_refused(cognito: Any, account: Account) -> None:
    with pytest.raises(cognito.exceptions.InvalidPasswordException):
        cognito.sign_up(**account.named, Password="short")


def test_an_administrator_confirms(cognito: Any, account: Account) -> None:
    cognito.sign_up(**account.named, Password=PASSWORD)
    cognito.admin_confirm_sign_up(UserPoolId=account.id, Username="bob@example.com")
    assert account.sign_in()["AccessToken"]


def test_a_forgotten_password_is_replaced(cognito: Any, account: Account) -> None:
    account.sign_up()
    answer = cognito.forgot_password(**account.named)
    # moto names the wrong medium here.
    assert answer["CodeDeliveryDetails"]["AttributeName"]
    code = account.code(answer)
    cognito.confirm_forgot_password(**account.named, ConfirmationCode=code, Password=NEW)
    assert account.sign_in(NEW)["AccessToken"]


def test_a_password_is_changed_by_who_knows_it(cognito: Any, account: Account) -> None:
    account.sign_up()
    token = account.sign_in()["AccessToken"]
    with pytest.raises(cognito.exceptions.NotAuthorizedException):
        cognito.change_password(AccessToken=token, PreviousPassword=NEW, ProposedPassword=NEW)
    cognito.change_password(AccessToken=token, PreviousPassword=PASSWORD, ProposedPassword=NEW)
    assert account.sign_in(NEW)["AccessToken"]


def test_attributes_are_changed(cognito: Any, account: Account) -> None:
    account.sign_up()
    token = account.sign_in()["AccessToken"]
    name = {"Name": "name", "Value": "Bob"}
    cognito.update_user_attributes(AccessToken=token, UserAttributes=[name])
    assert name in cognito.get_user(AccessToken=token)["UserAttributes"]
    where = {"UserPoolId": account.id, "Username": "bob@example.com"}
    nick = {"Name": "nickname", "Value": "B"}
    cognito.admin_update_user_attributes(**where, UserAttributes=[nick])
    assert nick in cognito.admin_get_user(**where)["UserAttributes"]


def test_groups_come_and_go(cognito: Any, account: Account) -> None:
    account.sign_up()
    where = {"UserPoolId": account.id}
    cognito.create_group(**where, GroupName="admins", Description="d", Precedence=3)
    assert cognito.get_group(**where, GroupName="admins")["Group"]["Precedence"] == 3
    cognito.update_group(**where, GroupName="admins", Precedence=1)
    assert [one["Precedence"] for one in cognito.list_groups(**where)["Groups"]] == [1]
    user = {**where, "Username": "bob@example.com"}
    cognito.admin_add_user_to_group(**user, GroupName="admins")
    assert len(cognito.admin_list_groups_for_user(**user)["Groups"]) == 1
    assert len(cognito.list_users_in_group(**where, GroupName="admins")["Users"]) == 1
    cognito.delete_group(**where, GroupName="admins")
    assert cognito.list_groups(**where)["Groups"] == []
    with pytest.raises(cognito.exceptions.ResourceNotFoundException):
        cognito.get_group(**where, GroupName="admins")


def test_a_pools_domain_and_scopes(cognito: Any, account: Account) -> None:
    where = {"UserPoolId": account.id}
    domain = account.id.partition("_")[2].lower()
    cognito.create_user_pool_domain(**where, Domain=domain)
    described = cognito.describe_user_pool_domain(Domain=domain)["DomainDescription"]
    assert described["UserPoolId"] == account.id
    cognito.delete_user_pool_domain(**where, Domain=domain)
    assert not cognito.describe_user_pool_domain(Domain=domain)["DomainDescription"]
    scopes = [{"ScopeName": "read", "ScopeDescription": "Reads"}]
    cognito.create_resource_server(**where, Identifier="api", Name="API", Scopes=scopes)
    server = cognito.describe_resource_server(**where, Identifier="api")["ResourceServer"]
    assert server["Scopes"] == scopes
    assert len(cognito.list_resource_servers(**where, MaxResults=10)["ResourceServers"]) == 1


def test_mfa_settings_of_a_pool(cognito: Any, account: Account) -> None:
    token = {"SoftwareTokenMfaConfiguration": {"Enabled": True}}
    cognito.set_user_pool_mfa_config(UserPoolId=account.id, MfaConfiguration="OPTIONAL", **token)
    seen = cognito.get_user_pool_mfa_config(UserPoolId=account.id)
    assert (seen["MfaConfiguration"], seen["SoftwareTokenMfaConfiguration"]) == (
        "OPTIONAL",
        {"Enabled": True},
    )


def test_a_client_is_deleted(cognito: Any, account: Account) -> None:
    named = {"UserPoolId": account.id, "ClientId": account.client_id}
    cognito.delete_user_pool_client(**named)
    with pytest.raises(cognito.exceptions.ResourceNotFoundException):
        cognito.describe_user_pool_client(**named)
