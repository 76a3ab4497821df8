"""A user pool and its app clients, as AWS describes them, against what the configuration expects. Pure.

Invariant: descriptions are only read; a client's secret is looked at for its presence alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
# A check is due again after so much of check_every on average (docs/revocation.md, "Calls").
_DUE = 0.7


def judge_pool(described: Described, pool: UserPool, config: Config) -> Iterator[Finding]:
    """What the pool's own settings mean for the gateway in front of the API."""
    about = f"user pool {pool.id}"
    yield good(about, f"exists in {pool.region}, called {described.get('Name')}")
    if not described.get("AdminCreateUserConfig", {}).get("AllowAdminCreateUserOnly"):
        yield warning(
            about,
            "anyone can make an account",
            "a valid token is all that a route without groups or scopes asks for",
            f"cognito-gateway sign-up disable --user-pool-id {pool.id}, or ask for groups on the routes",
        )
    else:
        yield good(about, "only administrators make accounts")
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
            "a deleted pool takes all its users along",
            f"console: user pool {pool.id}, Settings, Deletion protection",
        )
    if is_case_sensitive(described) and "email" in (
        *described.get("UsernameAttributes", []),
        *described.get("AliasAttributes", []),
    ):
        yield warning(
            about,
            "takes Jane@example.com and jane@example.com for two users",
            "its sign-in names are case-sensitive (AWS's default): people with a capital letter in their "
            "address see that their password is wrong, and can sign up a second time",
            "nobody can change that: make a new pool (cognito-gateway setup), and import the users there",
        )
    if described.get("DeviceConfiguration") and config.sign_in.enabled:
        yield _devices(described, pool, config, about)
    yield from _verification(described, config, about)
    yield from _issuer(described, pool, about)
    yield from _quota(described, config, about)


def _devices(described: Described, pool: UserPool, config: Config, about: str) -> Finding:
    """What it means here that the pool ties refresh tokens to a confirmed device."""
    turn_off = f"console: user pool {described.get('Id')}, Sign-in, Device tracking: Don't remember"
    if pool.domain is not None:
        return warning(
            about,
            "remembers devices, and managed login knows none",
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
    """What becomes of the addresses that users write into their accounts."""
    headers = config.identity_headers
    if headers.send_unverified:
        yield warning(
            about,
            "addresses that nobody has verified are sent to the upstream",
            "identity_headers.unverified is send: users can enter anyone's address as their own",
            "leave identity_headers.unverified out, or have the upstream look at email_verified",
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
                f"does not verify {attribute} by itself",
                "what is not verified is not sent to the upstream, and fits no claim rule",
                f"console: user pool {described.get('Id')}, Sign-up, Attribute verification; or verify it "
                "by admin-update-user-attributes",
            )
        elif attribute not in kept:
            yield warning(
                about,
                f"takes over a changed {attribute} before it is verified",
                "its user has none for the upstream until they enter the code",
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
            f"add {issuer} to cognito.user_pools[].issuers, or leave the key out",
        )


def _quota(described: Described, config: Config, about: str) -> Iterator[Finding]:
    """Whether the calls that the gateway may make, for all pools, are enough for this one's users alone."""
    revocation, users = config.cognito.revocation, described.get("EstimatedNumberOfUsers", 0)
    every, granted = revocation.check_every, revocation.calls_per_second
    if every is None or users / (every * _DUE) <= granted:
        return
    yield warning(
        about,
        f"{users} users asked about every {every:g} s are {users / (every * _DUE):.0f} calls a second, "
        f"and calls_per_second is {granted:g}",
        "were they all active at once, revoked users would keep access for longer than check_every says",
        "raise cognito.revocation.check_every, or calls_per_second; above AWS's quota UserRead, by default "
        f"{_USER_READ} a second for the whole account, it has to be raised at AWS first",
    )


def judge_client(described: Described, pool: UserPool, config: Config) -> Iterator[Finding]:
    """What one app client's settings mean for tokens and for signing in."""
    client_id = described["ClientId"]
    about = f"app client {client_id}"
    yield good(about, f"exists, called {described.get('ClientName')}")
    # People sign in with the first one; the tokens of the others, of machines often, are only verified.
    if client_id == pool.client_ids[0]:
        yield from _signing_in(described, pool, config, about)
    if described.get("PreventUserExistenceErrors") != "ENABLED":
        yield warning(
            about,
            "tells strangers whether a user exists",
            "PreventUserExistenceErrors is not ENABLED, so wrong passwords and unknown users differ",
            "cognito-gateway setup --fix, or the client's setting Prevent user existence errors",
        )
    if not described.get("EnableTokenRevocation"):
        yield warning(
            about,
            "its tokens cannot be revoked",
            "they carry no origin_jti, so signing out takes nothing away before they expire",
            "cognito-gateway setup --fix, or the client's setting Enable token revocation",
        )
    yield from _life(described, config, about)


def _signing_in(described: Described, pool: UserPool, config: Config, about: str) -> Iterator[Finding]:
    yield from _secret(described, pool, config, about)
    yield from _user_context(described, config, about)
    flows = described.get("ExplicitAuthFlows", [])
    wanted = _FLOWS[config.sign_in.auth_flow]
    if config.sign_in.enabled and pool.domain is None and wanted not in flows:
        yield broken(
            about,
            f"does not allow {config.sign_in.auth_flow}",
            "nobody can sign in on the gateway's pages",
            f"add {wanted} to the client's authentication flows, or choose another sign_in.auth_flow",
        )
    if config.sign_in.enabled:
        yield from _callback(described, pool, config, about)
        yield from _rotation(described, config, about)


def _rotation(described: Described, config: Config, about: str) -> Iterator[Finding]:
    """Whether each refresh token works once only, where several workers may use the same one at a time."""
    rotation = described.get("RefreshTokenRotation") or {}
    if rotation.get("Feature") != "ENABLED" or rotation.get("RetryGracePeriodSeconds", 0) > 0:
        return
    if config.sign_in.session.store == "cookie" and config.listen.workers != 1:
        yield warning(
            about,
            "rotates refresh tokens without a grace period",
            "workers (and replicas) renew a cookie session independently: of parallel requests at the same "
            "time one renews it, and the others end it",
            "set the client's RetryGracePeriodSeconds to 10 or more, or sign_in.session.store to redis",
        )


def _user_context(described: Described, config: Config, about: str) -> Iterator[Finding]:
    if config.sign_in.user_context and not described.get("EnablePropagateAdditionalUserContextData"):
        yield broken(
            about,
            "does not accept the users' own addresses",
            "sign_in.user_context is on, and Cognito takes them from this client only with its setting "
            "EnablePropagateAdditionalUserContextData",
            "turn the setting on (Accept additional user context data), or sign_in.user_context off",
        )


def _secret(described: Described, pool: UserPool, config: Config, about: str) -> Iterator[Finding]:
    has = described.get("ClientSecret") is not None
    knows = pool.client_secret_file is not None or pool.client_secret is not None
    if has and not knows and config.sign_in.enabled:
        yield broken(
            about,
            "has a secret that the configuration does not name",
            "signing in and refreshing fail without it; verifying tokens does not need it",
            "name its file as client_secret_file, or a variable of the environment as client_secret",
        )
    elif knows and not has:
        yield broken(
            about,
            "has no secret, and the configuration names one",
            "Cognito refuses a secret it did not give",
            "leave client_secret_file and client_secret out",
        )


def _life(described: Described, config: Config, about: str) -> Iterator[Finding]:
    unit = described.get("TokenValidityUnits", {}).get("AccessToken", "hours")
    seconds = described.get("AccessTokenValidity", 1) * _UNITS.get(unit, 3600)
    if seconds > _USUAL_LIFE and config.cognito.revocation.check_every is None:
        yield warning(
            about,
            f"its access tokens live for {seconds / 3600:g} hours",
            "so long a signed-out or disabled user keeps access",
            "shorten AccessTokenValidity, or set cognito.revocation.check_every",
        )
    else:
        yield good(about, f"its access tokens live for {seconds / 60:g} minutes")


def _callback(described: Described, pool: UserPool, config: Config, about: str) -> Iterator[Finding]:
    base = config.listen.public_url
    if pool.domain is None or base is None:
        return
    callback = f"{base.rstrip('/')}{config.sign_in.prefix}/callback"
    if callback not in described.get("CallbackURLs", []):
        yield broken(
            about,
            f"does not know the callback {callback}",
            "managed login refuses to send people back",
            f"add {callback} to the client's allowed callback URLs",
        )
    # Where sign_out.py sends people back to.
    after = f"{base.rstrip('/')}{config.sign_in.prefix}/"
    if after not in described.get("LogoutURLs", []):
        yield warning(
            about,
            f"does not know the sign-out URL {after}",
            "who signs out is shown an error of Cognito's, and stays signed in at managed login",
            f"add {after} to the client's allowed sign-out URLs",
        )
    if "code" not in described.get("AllowedOAuthFlows", []):
        yield broken(
            about,
            "does not allow the authorization code grant",
            "managed login answers unauthorized_client",
            "allow it in the client's managed login settings",
        )
