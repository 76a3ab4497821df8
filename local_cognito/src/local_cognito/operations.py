"""The operations on user pools: their shapes and handlers, and how one is found and called.

Invariant: `run` is the only way to call an operation, and it checks the shapes first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local_cognito import (
    challenges,
    client_documents,
    clients,
    derived_tokens,
    devices,
    fields,
    groups,
    identity_providers,
    machines,
    mfa_settings,
    own_attributes,
    own_passkeys,
    pools,
    recovery,
    refreshing,
    session_settings,
    sign_in,
    sign_up,
    signed_in,
    software_token,
    tags,
    user_sessions,
    users,
)
from local_cognito import fields_account as account
from local_cognito import fields_device as device
from local_cognito import fields_document as document
from local_cognito import fields_domain as domain
from local_cognito import fields_exchange as derive
from local_cognito import fields_identity as identity
from local_cognito import fields_mfa as mfa
from local_cognito import fields_passkey as passkey
from local_cognito import fields_provider as provider
from local_cognito import fields_session as session
from local_cognito.identity.operations import IDENTITY_OPERATIONS
from local_cognito.oauth import domains
from local_cognito.state import Caller, State
from local_cognito.table import Operation, find, run

OPERATIONS: dict[str, Operation] = {
    "CreateUserPool": Operation(fields.CREATE_USER_POOL, pools.create_user_pool),
    "DescribeUserPool": Operation(fields.POOL_ONLY, pools.describe_user_pool),
    "ListUserPools": Operation(fields.LIST_USER_POOLS, pools.list_user_pools),
    "UpdateUserPool": Operation(fields.UPDATE_USER_POOL, pools.update_user_pool),
    "DeleteUserPool": Operation(fields.POOL_ONLY, pools.delete_user_pool),
    "CreateUserPoolClient": Operation(fields.CREATE_CLIENT, clients.create_client),
    "DescribeUserPoolClient": Operation(fields.CLIENT_ONLY, clients.describe_client),
    "ListUserPoolClients": Operation(fields.LIST_CLIENTS, clients.list_clients),
    "UpdateUserPoolClient": Operation(fields.UPDATE_CLIENT, clients.update_client),
    "AdminCreateUser": Operation(fields.CREATE_USER, users.admin_create_user),
    "AdminGetUser": Operation(fields.USER_ONLY, users.admin_get_user),
    "AdminSetUserPassword": Operation(fields.SET_PASSWORD, users.admin_set_user_password),
    "AdminDisableUser": Operation(fields.USER_ONLY, users.admin_disable_user),
    "AdminEnableUser": Operation(fields.USER_ONLY, users.admin_enable_user),
    "AdminDeleteUser": Operation(fields.USER_ONLY, users.admin_delete_user),
    "ListUsers": Operation(fields.LIST_USERS, users.list_users),
    "CreateGroup": Operation(fields.CREATE_GROUP, groups.create_group),
    "AdminAddUserToGroup": Operation(fields.USER_AND_GROUP, groups.admin_add_user_to_group),
    "AdminRemoveUserFromGroup": Operation(fields.USER_AND_GROUP, groups.admin_remove_user_from_group),
    "InitiateAuth": Operation(fields.INITIATE_AUTH, sign_in.initiate_auth, signed=False),
    "AdminInitiateAuth": Operation(fields.ADMIN_INITIATE_AUTH, sign_in.admin_initiate_auth),
    "RespondToAuthChallenge": Operation(fields.RESPOND, challenges.respond, signed=False),
    "AdminRespondToAuthChallenge": Operation(fields.ADMIN_RESPOND, challenges.admin_respond),
    "SignUp": Operation(account.SIGN_UP, sign_up.sign_up, signed=False),
    "ConfirmSignUp": Operation(account.CONFIRM_SIGN_UP, sign_up.confirm_sign_up, signed=False),
    "ResendConfirmationCode": Operation(account.RESEND, sign_up.resend_confirmation_code, signed=False),
    "AdminConfirmSignUp": Operation(account.USER_AND_METADATA, sign_up.admin_confirm_sign_up),
    "ForgotPassword": Operation(account.FORGOT, recovery.forgot_password, signed=False),
    "ConfirmForgotPassword": Operation(
        account.CONFIRM_FORGOT, recovery.confirm_forgot_password, signed=False
    ),
    "ChangePassword": Operation(account.CHANGE_PASSWORD, recovery.change_password, signed=False),
    "AdminResetUserPassword": Operation(account.USER_AND_METADATA, recovery.admin_reset_user_password),
    "StartWebAuthnRegistration": Operation(
        fields.ACCESS_TOKEN, own_passkeys.start_web_authn_registration, signed=False
    ),
    "CompleteWebAuthnRegistration": Operation(
        passkey.COMPLETE, own_passkeys.complete_web_authn_registration, signed=False
    ),
    "ListWebAuthnCredentials": Operation(passkey.LIST, own_passkeys.list_web_authn_credentials, signed=False),
    "DeleteWebAuthnCredential": Operation(
        passkey.DELETE, own_passkeys.delete_web_authn_credential, signed=False
    ),
    "GetUserAuthFactors": Operation(fields.ACCESS_TOKEN, own_passkeys.get_user_auth_factors, signed=False),
    "GetTokensFromRefreshToken": Operation(
        account.GET_TOKENS, refreshing.get_tokens_from_refresh_token, signed=False
    ),
    "UpdateUserAttributes": Operation(
        account.UPDATE_ATTRIBUTES, own_attributes.update_user_attributes, signed=False
    ),
    "DeleteUserAttributes": Operation(
        account.DELETE_ATTRIBUTES, own_attributes.delete_user_attributes, signed=False
    ),
    "GetUserAttributeVerificationCode": Operation(
        account.ASK_ATTRIBUTE_CODE, own_attributes.get_user_attribute_verification_code, signed=False
    ),
    "VerifyUserAttribute": Operation(
        account.VERIFY_ATTRIBUTE, own_attributes.verify_user_attribute, signed=False
    ),
    "DeleteUser": Operation(fields.ACCESS_TOKEN, own_attributes.delete_user, signed=False),
    "AdminUpdateUserAttributes": Operation(
        account.ADMIN_UPDATE_ATTRIBUTES, own_attributes.admin_update_user_attributes
    ),
    "AssociateSoftwareToken": Operation(mfa.ASSOCIATE, software_token.associate_software_token, signed=False),
    "VerifySoftwareToken": Operation(mfa.VERIFY, software_token.verify_software_token, signed=False),
    "SetUserMFAPreference": Operation(mfa.PREFER, mfa_settings.set_user_mfa_preference, signed=False),
    "AdminSetUserMFAPreference": Operation(mfa.ADMIN_PREFER, mfa_settings.admin_set_user_mfa_preference),
    "SetUserPoolMfaConfig": Operation(mfa.SET_CONFIG, mfa_settings.set_user_pool_mfa_config),
    "GetUserPoolMfaConfig": Operation(fields.POOL_ONLY, mfa_settings.get_user_pool_mfa_config),
    "CreateUserPoolDomain": Operation(domain.CREATE_DOMAIN, domains.create_user_pool_domain),
    "DescribeUserPoolDomain": Operation(domain.DESCRIBE_DOMAIN, domains.describe_user_pool_domain),
    "DeleteUserPoolDomain": Operation(domain.DELETE_DOMAIN, domains.delete_user_pool_domain),
    "CreateIdentityProvider": Operation(provider.CREATE, identity_providers.create_identity_provider),
    "DescribeIdentityProvider": Operation(provider.ONE, identity_providers.describe_identity_provider),
    "ListIdentityProviders": Operation(provider.LIST, identity_providers.list_identity_providers),
    "DeleteIdentityProvider": Operation(provider.ONE, identity_providers.delete_identity_provider),
    "CreateCIMDPolicy": Operation(document.CREATE, client_documents.create_cimd_policy),
    "DescribeCIMDPolicy": Operation(document.ONE, client_documents.describe_cimd_policy),
    "UpdateCIMDPolicy": Operation(document.UPDATE, client_documents.update_cimd_policy),
    "DeleteCIMDPolicy": Operation(document.ONE, client_documents.delete_cimd_policy),
    "ListCIMDPolicies": Operation(document.LIST, client_documents.list_cimd_policies),
    "ListClientMetadataURLs": Operation(document.LIST_URLS, client_documents.list_client_metadata_urls),
    "UpdateClientMetadataURLState": Operation(
        document.UPDATE_URL, client_documents.update_client_metadata_url_state
    ),
    "CreateResourceServer": Operation(domain.RESOURCE_SERVER, domains.create_resource_server),
    "DescribeResourceServer": Operation(domain.RESOURCE_SERVER_ONLY, domains.describe_resource_server),
    "UpdateResourceServer": Operation(domain.RESOURCE_SERVER, domains.update_resource_server),
    "DeleteResourceServer": Operation(domain.RESOURCE_SERVER_ONLY, domains.delete_resource_server),
    "ListResourceServers": Operation(domain.LIST_RESOURCE_SERVERS, domains.list_resource_servers),
    "ListGroups": Operation(fields.LIST_IN_POOL, groups.list_groups),
    "GetGroup": Operation(fields.GROUP_ONLY, groups.get_group),
    "UpdateGroup": Operation(fields.CREATE_GROUP, groups.update_group),
    "DeleteGroup": Operation(fields.GROUP_ONLY, groups.delete_group),
    "AdminListGroupsForUser": Operation(fields.LIST_OF_USER, groups.admin_list_groups_for_user),
    "ListUsersInGroup": Operation(fields.LIST_IN_GROUP, groups.list_users_in_group),
    "DeleteUserPoolClient": Operation(fields.CLIENT_ONLY, clients.delete_client),
    "TagResource": Operation(identity.TAG, tags.tag_resource),
    "UntagResource": Operation(identity.UNTAG, tags.untag_resource),
    "ListTagsForResource": Operation(identity.LIST_TAGS, tags.list_tags_for_resource),
    "GetUser": Operation(fields.ACCESS_TOKEN, signed_in.read_user, signed=False),
    "GlobalSignOut": Operation(fields.ACCESS_TOKEN, signed_in.global_sign_out, signed=False),
    "AdminUserGlobalSignOut": Operation(fields.USER_ONLY, signed_in.admin_user_global_sign_out),
    "RevokeToken": Operation(fields.REVOKE_TOKEN, signed_in.revoke_token, signed=False),
    "ListUserSessions": Operation(session.LIST, user_sessions.list_user_sessions, signed=False),
    "RevokeUserSession": Operation(session.REVOKE, user_sessions.revoke_user_session, signed=False),
    "AdminListUserSessions": Operation(session.ADMIN_LIST, user_sessions.admin_list_user_sessions),
    "AdminRevokeUserSession": Operation(session.ADMIN_REVOKE, user_sessions.admin_revoke_user_session),
    "GetUserPoolSessionConfiguration": Operation(
        fields.POOL_ONLY, session_settings.get_user_pool_session_configuration
    ),
    "SetUserPoolSessionConfiguration": Operation(
        session.SET_POOL, session_settings.set_user_pool_session_configuration
    ),
    "GetUserPoolClientSessionConfiguration": Operation(
        fields.CLIENT_ONLY, session_settings.get_user_pool_client_session_configuration
    ),
    "SetUserPoolClientSessionConfiguration": Operation(
        session.SET_CLIENT, session_settings.set_user_pool_client_session_configuration
    ),
    # AWS does not evaluate the signature (API reference): the client's secret authorizes the call.
    "GetClientToken": Operation(session.CLIENT_TOKEN, machines.get_client_token, signed=False),
    "GetDerivedToken": Operation(derive.DERIVE, derived_tokens.get_derived_token, signed=False),
    "ConfirmDevice": Operation(device.CONFIRM, devices.confirm_device, signed=False),
    "GetDevice": Operation(device.ONE, devices.get_device, signed=False),
    "ListDevices": Operation(device.LIST, devices.list_devices, signed=False),
    "ForgetDevice": Operation(device.ONE, devices.forget_device, signed=False),
    "UpdateDeviceStatus": Operation(device.UPDATE, devices.update_device_status, signed=False),
}


@dataclass(frozen=True, slots=True)
class Service:
    """A JSON service: the name in its signatures' scope, and its operations."""

    signing_name: str
    operations: Mapping[str, Operation]


# First part of X-Amz-Target → the service.
SERVICES = {
    "AWSCognitoIdentityProviderService": Service("cognito-idp", OPERATIONS),
    "AWSCognitoIdentityService": Service("cognito-identity", IDENTITY_OPERATIONS),
}


def call(state: State, name: str, request: Mapping[str, Any], now: float) -> dict[str, Any]:
    """Call one operation at the time `now` (epoch seconds). Raises AwsError.

    A name that both services have (TagResource and the like) is the user pools'.
    """
    state.caller = Caller(signed=True)
    table = OPERATIONS if name in OPERATIONS else IDENTITY_OPERATIONS
    return run(name, find(table, name), state, request, now)
