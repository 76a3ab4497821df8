"""Checks of a user pool and its app clients, as AWS describes them, against the configuration. Pure.

Invariant: descriptions are not modified; of a client's secret, only its presence is checked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from gateway.aws.provision.wanted import is_case_sensitive
from gateway.commands.checkup.finding import Finding, broken, good, warning
from gateway.config.model import Config, UserPool

Described = Mapping[str, Any]

# Seconds in the units of TokenValidityUnits.
_UNITS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}
# Cognito's default for access tokens (AWS, "Managing user pool token expiration").
_USUAL_LIFE = 3600
_FLOWS = {
    "USER_PASSWORD_AUTH": "ALLOW_USER_PASSWORD_AUTH",
    "USER_SRP_AUTH": "ALLOW_USER_SRP_AUTH",
    "USER_AUTH": "ALLOW_USER_AUTH",
}
# UserRead, requests per second for a whole account and Region (AWS, "Quotas in Amazon Cognito").
_USER_READ = 120
# A check is due again after this share of check_every on average (docs/revocation.md, "Calls").
_DUE = 0.7


def judge_pool(described: Described, pool: UserPool, config: Config) -> Iterator[Finding]:
    """Check the pool's own settings."""
    about = f"user pool {pool.id}"
    yield good(about, f"exists in {pool.region} with the name {described.get('Name')}")
    if not described.get("AdminCreateUserConfig", {}).get("AllowAdminCreateUserOnly"):
        yield warning(
            about,
            "anyone can create an account",
            "any valid token is accepted on routes without groups or scopes",
            f"cognito-gateway sign-up disable --user-pool-id {pool.id}, or require groups on the routes",
        )
    else:
        yield good(about, "only administrators create accounts")
    if described.get("MfaConfiguration", "OFF") == "OFF":
        yield warning(
            about,
            "no second factor is required",
            "a password alone opens the API",
            f"console: user pool {pool.id}, Sign-in, Multi-factor authentication",
        )
    if described.get("DeletionProtection") != "ACTIVE":
        yield warning(
            about,
            "deletion protection is off",
            "deleting the pool deletes all its users",
            f"console: user pool {pool.id}, Settings, Deletion protection",
        )
    if is_case_sensitive(described) and "email" in (
        *described.get("UsernameAttributes", []),
        *described.get("AliasAttributes", []),
    ):
        yield warning(
            about,
            "treats Jane@example.com and jane@example.com as two users",
            "its user names are case-sensitive (AWS's default): users with a capital letter in their address "
            "are refused as if their password were wrong, and can sign up again",
            "this cannot be changed: create a new pool (cognito-gateway setup), and import the users there",
        )
    if described.get("DeviceConfiguration") and config.sign_in.enabled:
        yield _devices(described, pool, config, about)
    yield from _verification(described, config, about)
    yield from _issuer(described, pool, about)
    yield from _quota(described, config, about)


def _devices(described: Described, pool: UserPool, config: Config, about: str) -> Finding:
    """Check sessions in a pool that binds refresh tokens to a confirmed device."""
    turn_off = f"console: user pool {described.get('Id')}, Sign-in, Device tracking: Don't remember"
    if pool.managed:
        return warning(
            about,
            "remembers devices, and managed login does not register them",
            "AWS does not document whether refresh tokens of managed login need a device key here: if "
            "sessions end with their first access token, this is why",
            turn_off,
        )
    if config.sign_in.auth_flow != "USER_SRP_AUTH":
        return warning(
            about,
            f"remembers devices, and {config.sign_in.auth_flow} cannot register one",
            "AWS tracks the devices of sign-ins by USER_SRP_AUTH only, and refuses refresh tokens without a "
            "confirmed device: sessions end with their first access token",
            "set sign_in.auth_flow to USER_SRP_AUTH and add ALLOW_USER_SRP_AUTH to the client's "
            f"authentication flows; or {turn_off}",
        )
    return good(about, "remembers devices: each sign-in registers one, and its renewals name it")


def _verification(described: Described, config: Config, about: str) -> Iterator[Finding]:
    """Check the verification of users' addresses."""
    headers = config.identity_headers
    if headers.send_unverified:
        yield warning(
            about,
            "unverified addresses are sent to the upstream",
            "identity_headers.unverified is send: users can claim anyone's address",
            "remove identity_headers.unverified, or have the upstream check email_verified",
        )
        return
    said = {"email": headers.email is not None} | {claim: True for _, claim in headers.claims}
    settings = described.get("UserAttributeUpdateSettings", {})
    kept = settings.get("AttributesRequireVerificationBeforeUpdate", [])
    for attribute in ("email", "phone_number"):
        if not said.get(attribute) and attribute not in config.claims_in_routes:
            continue
        if attribute not in described.get("AutoVerifiedAttributes", []):
            yield warning(
                about,
                f"does not verify {attribute} automatically",
                "an unverified value is not sent to the upstream, and matches no claim rule",
                f"console: user pool {described.get('Id')}, Sign-up, Attribute verification; or verify it "
                "by admin-update-user-attributes",
            )
        elif attribute not in kept:
            yield warning(
                about,
                f"replaces a changed {attribute} before it is verified",
                "the user's value is not sent to the upstream until they enter the code",
                f"console: user pool {described.get('Id')}, Sign-up, Keep original attribute value active "
                "when an update is pending",
            )


def _issuer(described: Described, pool: UserPool, about: str) -> Iterator[Finding]:
    kind = described.get("IssuerConfiguration", {}).get("Type", "ORIGINAL")
    host = "issuer-cognito-idp" if kind == "UPDATED" else "cognito-idp"
    issuer = f"https://{host}.{pool.region}.amazonaws.com/{pool.id}"
    if issuer in pool.issuers:
        yield good(about, f"issues tokens as {issuer}")
    elif all(".amazonaws.com/" in each for each in pool.issuers):
        yield broken(
            about,
            f"issues tokens as {issuer}, which issuers does not list",
            "every token is refused as wrong_issuer",
            f"add {issuer} to cognito.user_pools[].issuers, or remove the key",
        )


def _quota(described: Described, config: Config, about: str) -> Iterator[Finding]:
    """Check that the calls allowed for all pools are enough for this pool's users alone."""
    revocation, users = config.cognito.revocation, described.get("EstimatedNumberOfUsers", 0)
    every, granted = revocation.check_every, revocation.calls_per_second
    if every is None or users / (every * _DUE) <= granted:
        return
    yield warning(
        about,
        f"checking {users} users every {every:g} s takes {users / (every * _DUE):.0f} calls a second, "
        f"and calls_per_second is {granted:g}",
        "if all are active at once, revoked users keep access for longer than check_every",
        "raise cognito.revocation.check_every, or calls_per_second; above AWS's quota UserRead, by default "
        f"{_USER_READ} a second for the whole account, request an increase from AWS first",
    )


def judge_client(described: Described, pool: UserPool, config: Config) -> Iterator[Finding]:
    """Check one app client's settings for tokens and sign-in."""
    client_id = described["ClientId"]
    about = f"app client {client_id}"
    yield good(about, f"exists with the name {described.get('ClientName')}")
    # Users sign in with the first client; tokens of the others, often machines, are only verified.
    if client_id == pool.client_ids[0]:
        yield from _signing_in(described, pool, config, about)
    if described.get("PreventUserExistenceErrors") != "ENABLED":
        yield warning(
            about,
            "reveals whether a user exists",
            "PreventUserExistenceErrors is not ENABLED, so wrong passwords and unknown users differ",
            "cognito-gateway setup --fix, or the client's setting Prevent user existence errors",
        )
    if not described.get("EnableTokenRevocation"):
        yield warning(
            about,
            "its tokens cannot be revoked",
            "they have no origin_jti, so after a sign-out they are valid until they expire",
            "cognito-gateway setup --fix, or the client's setting Enable token revocation",
        )
    yield from _life(described, config, about)


def _signing_in(described: Described, pool: UserPool, config: Config, about: str) -> Iterator[Finding]:
    yield from _secret(described, pool, config, about)
    yield from _user_context(described, config, about)
    flows = described.get("ExplicitAuthFlows", [])
    wanted = _FLOWS[config.sign_in.auth_flow]
    if config.sign_in.enabled and not pool.managed and wanted not in flows:
        yield broken(
            about,
            f"does not allow {config.sign_in.auth_flow}",
            "nobody can sign in on the gateway's pages",
            f"add {wanted} to the client's authentication flows, or choose another sign_in.auth_flow",
        )
    if config.sign_in.enabled:
        yield from _providers(described, pool, config, about)
        yield from _callback(described, pool, config, about)
        yield from _refresh(flows, described, about)
        yield from _rotation(described, config, about)


def _refresh(flows: Collection[str], described: Described, about: str) -> Iterator[Finding]:
    """Check that refresh tokens work. Clients with flows of the older kind, without ALLOW_, allow them."""
    rotates = (described.get("RefreshTokenRotation") or {}).get("Feature") == "ENABLED"
    older = not any(flow.startswith("ALLOW_") for flow in flows)
    if not (rotates or older or "ALLOW_REFRESH_TOKEN_AUTH" in flows):
        yield broken(
            about,
            "does not allow refreshing tokens",
            "browser sessions, and sign-ins of MCP clients, end with their first access token",
            "add ALLOW_REFRESH_TOKEN_AUTH to the client's authentication flows, or enable token rotation",
        )


def _rotation(described: Described, config: Config, about: str) -> Iterator[Finding]:
    """Check that single-use refresh tokens are not used by several workers at the same time."""
    rotation = described.get("RefreshTokenRotation") or {}
    if rotation.get("Feature") != "ENABLED" or rotation.get("RetryGracePeriodSeconds", 0) > 0:
        return
    if config.sign_in.session.store == "cookie" and config.listen.workers != 1:
        yield warning(
            about,
            "rotates refresh tokens without a grace period",
            "workers (and replicas) renew a cookie session independently: of simultaneous requests "
            "one renews it, and the others end it",
            "set the client's RetryGracePeriodSeconds to 10 or more, or sign_in.session.store to redis",
        )


def _user_context(described: Described, config: Config, about: str) -> Iterator[Finding]:
    if config.sign_in.user_context and not described.get("EnablePropagateAdditionalUserContextData"):
        yield broken(
            about,
            "does not accept the users' own IP addresses",
            "sign_in.user_context is on, and Cognito accepts them from this client only with the setting "
            "EnablePropagateAdditionalUserContextData",
            "enable the setting (Accept additional user context data), or disable sign_in.user_context",
        )


def _secret(described: Described, pool: UserPool, config: Config, about: str) -> Iterator[Finding]:
    has = described.get("ClientSecret") is not None
    knows = pool.client_secret_file is not None or pool.client_secret is not None
    if has and not knows and config.sign_in.enabled:
        yield broken(
            about,
            "has a secret that the configuration does not name",
            "signing in and refreshing fail without it; verifying tokens does not need it",
            "set client_secret_file to its file, or client_secret to an environment variable",
        )
    elif knows and not has:
        yield broken(
            about,
            "has no secret, but the configuration names one",
            "Cognito refuses requests with a secret of a client without one",
            "remove client_secret_file and client_secret",
        )


def _life(described: Described, config: Config, about: str) -> Iterator[Finding]:
    unit = described.get("TokenValidityUnits", {}).get("AccessToken", "hours")
    seconds = described.get("AccessTokenValidity", 1) * _UNITS.get(unit, 3600)
    if seconds > _USUAL_LIFE and config.cognito.revocation.check_every is None:
        yield warning(
            about,
            f"its access tokens are valid for {seconds / 3600:g} hours",
            "signed-out and disabled users keep access for that long",
            "shorten AccessTokenValidity, or set cognito.revocation.check_every",
        )
    else:
        yield good(about, f"its access tokens are valid for {seconds / 60:g} minutes")


def _providers(described: Described, pool: UserPool, config: Config, about: str) -> Iterator[Finding]:
    """Check that the client allows the providers that the sign-in form shows."""
    if pool.domain is None or pool.managed:
        return
    allowed = described.get("SupportedIdentityProviders", [])
    for provider in config.sign_in.providers:
        if provider.name not in allowed:
            yield broken(
                about,
                f"does not allow the identity provider {provider.name}",
                "its button on the sign-in form is missing, or leads to an error of managed login",
                f"create it in the user pool if need be, and add {provider.name} to the client's identity "
                "providers (console: App clients, Login pages)",
            )


def _callback(described: Described, pool: UserPool, config: Config, about: str) -> Iterator[Finding]:
    base = config.listen.public_url or (config.mcp.origin if config.mcp is not None else None)
    if pool.domain is None or base is None or not (pool.managed or config.sign_in.providers):
        return
    callback = f"{base.rstrip('/')}{config.sign_in.prefix}/callback"
    if callback not in described.get("CallbackURLs", []):
        yield broken(
            about,
            f"does not allow the callback URL {callback}",
            "managed login refuses to redirect users back",
            f"add {callback} to the client's allowed callback URLs",
        )
    # The URL that sign_out.py redirects users to.
    after = f"{base.rstrip('/')}{config.sign_in.prefix}/"
    if after not in described.get("LogoutURLs", []):
        yield warning(
            about,
            f"does not allow the sign-out URL {after}",
            "users who sign out see an error from Cognito, and stay signed in at managed login",
            f"add {after} to the client's allowed sign-out URLs",
        )
    if "code" not in described.get("AllowedOAuthFlows", []):
        yield broken(
            about,
            "does not allow the authorization code grant",
            "managed login answers unauthorized_client",
            "allow it in the client's managed login settings",
        )
