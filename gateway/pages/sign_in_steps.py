"""The state machine of a sign-in: what a challenge asks of the user, and the answer that a form gives.

It covers every Cognito challenge that a form can answer, passkeys (WEB_AUTHN) with the browser's help;
remembered devices (DEVICE_*) are not among them. Pure: challenge.py talks to Cognito.

Invariant: an answer is built for the sealed challenge, never for one that the form names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from gateway.aws.challenges import CODES, code_destination, new_password, required_attributes
from gateway.aws.relying_party import PASSKEY
from gateway.aws.values import Challenge
from gateway.pages.attributes import PREFIX, Field, fields_for
from gateway.texts import Text

Kind = Literal["code", "password", "new_password", "select", "authenticator", "passkey", "unknown"]


@dataclass(frozen=True, slots=True)
class SignInStep:
    """A challenge awaiting its answer, sealed in the browser between two forms."""

    # Distinguishes this step from the one before it: a form of an older page is not accepted as an answer.
    id: str
    pool_id: str
    challenge: Challenge = field(repr=False)
    return_to: str = ""
    # The authenticator's key during its setup.
    secret: str = field(default="", repr=False)
    # Whether this sign-in ends all others, because the password was just reset.
    everywhere: bool = False
    # The acr values that Cognito was asked to sign this user in toward.
    acr_values: str = ""


@dataclass(frozen=True, slots=True)
class Option:
    value: str
    text: str
    # Without one the choice leads nowhere.
    needs_script: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """What the page of a step shows."""

    kind: Kind
    title: Text
    lead: str | None = None
    label: str = ""
    hint: str | None = None
    numeric: bool = True
    options: tuple[Option, ...] = ()
    attributes: tuple[Field, ...] = ()
    username: str = ""
    # Of a passkey: PublicKeyCredentialRequestOptionsJSON.
    request: str = ""


@dataclass(frozen=True, slots=True)
class StepAnswer:
    """Members of ChallengeResponses."""

    members: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Password:
    """A password, to be sent or proved by SRP, depending on the flow."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AuthenticatorCode:
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class OtherWay:
    """Another way to sign in than the one that was chosen."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """A form that cannot be an answer: messages by field."""

    errors: Mapping[str, str]


Sent = StepAnswer | Password | AuthenticatorCode | OtherWay
Planned = Sent | Wrong

# API reference, InitiateAuth: AvailableChallenges, and SELECT_MFA_TYPE. Choice → text of its button.
_CHOICES = {
    PASSKEY: Text("Use a passkey"),
    "EMAIL_OTP": Text("Email me a code"),
    "SMS_OTP": Text("Text me a code"),
    "SOFTWARE_TOKEN_MFA": Text("Use my authenticator app"),
    "SMS_MFA": Text("Text me a code"),
    "EMAIL_MFA": Text("Email me a code"),
}
# The choice that leaves a passkey for another way.
OTHER = "other"
# Choices for which Cognito sends a message, and the challenges that ask for the code in it.
_MESSAGES = frozenset({"EMAIL_OTP", "SMS_OTP", "SMS_MFA", "EMAIL_MFA"})
_PASSWORDS = frozenset({"PASSWORD", "PASSWORD_SRP"})
# API reference, InitiateAuth: the parameter of WEB_AUTHN; and the characters of it that are kept. Twenty
# passkeys of platforms take some 2,000.
_REQUEST = "CREDENTIAL_REQUEST_OPTIONS"
_LONGEST_REQUEST = 4000
NO_CREDENTIAL = Text("Use your passkey, or sign in another way")
# Title and sentence of a choice between factors.
_HOW = (Text("One more step"), Text("How do you want to verify your identity?"))
_BETWEEN_DIGITS = re.compile(r"[\s-]+")


def view(challenge: Challenge, form: Mapping[str, str], *, stronger: bool = False) -> View:
    """Return the page for a challenge. `form`: earlier input, without passwords and codes.

    `stronger`: the person who is signed in has to reach a level, and is offered only what does."""
    name, username = challenge.name, challenge.username
    if name == "NEW_PASSWORD_REQUIRED":
        fields = fields_for(required_attributes(challenge.parameters), form)
        lead = Text("You signed in with a temporary password. Choose your own.")
        return View("new_password", Text("Choose a new password"), lead, attributes=fields, username=username)
    if name in {"PASSWORD", "PASSWORD_SRP"}:
        return View("password", Text("Enter your password"), username, username=username)
    if name == "SELECT_CHALLENGE":
        return _select_challenge(challenge, stronger=stronger)
    if name == "SELECT_MFA_TYPE":
        options = _options(_listed(challenge.parameters.get("MFAS_CAN_CHOOSE")))
        return View("select", *_HOW, options=options)
    if name == PASSKEY and (request := passkey_request(challenge.parameters)):
        lead = Text("Your device asks for your fingerprint, face or screen lock.")
        return View("passkey", Text("Sign in with a passkey"), lead, username=username, request=request)
    if name == "MFA_SETUP" and _can_set_up(challenge):
        lead = Text("This account needs a second step: a code from an authenticator app.")
        return View("authenticator", Text("Set up an authenticator"), lead)
    return _code(challenge)


def _select_challenge(challenge: Challenge, *, stronger: bool) -> View:
    options = _options(challenge.choices)
    if stronger and options and not takes_password(challenge):
        return View("select", *_HOW, options=options)
    # A password is asked for even where the account has none: unknown usernames get this same page.
    if options or _PASSWORDS & set(challenge.choices):
        return View(
            "password",
            Text("Enter your password"),
            challenge.username,
            options=options,
            username=challenge.username,
        )
    return _unknown()


def _code(challenge: Challenge) -> View:
    where = code_destination(challenge.parameters)
    title = Text("Enter the code")
    if challenge.name == "SOFTWARE_TOKEN_MFA":
        return View("code", title, Text("Your authenticator app shows six digits."), Text("6-digit code"))
    if challenge.name in {"SMS_MFA", "SMS_OTP"}:
        lead = Text("We sent a text message to your phone.")
        if where:
            lead = Text("We sent a text message to {number}.", number=where)
        return View("code", title, lead, Text("Code"))
    if challenge.name == "EMAIL_OTP":
        lead = (
            Text("We sent an email to {address}.", address=where) if where else Text("We sent you an email.")
        )
        return View("code", title, lead, Text("Code"))
    if challenge.name == "CUSTOM_CHALLENGE":
        return View("code", Text("One more step"), None, Text("Your answer"), numeric=False)
    return _unknown()


def _unknown() -> View:
    lead = Text("Your account requires a sign-in method that these pages don't support.")
    return View("unknown", Text("You can't continue here"), lead)


def without_passkey(shown: View) -> View:
    """Return the page without the choice of a passkey."""
    return replace(shown, options=tuple(each for each in shown.options if each.value != PASSKEY))


def plan(challenge: Challenge, form: Mapping[str, str]) -> Planned:
    """Return what to send to Cognito for a form."""
    shown = view(challenge, form)
    if shown.kind == "passkey":
        return _passkey(form)
    chosen = form.get("choice")
    if chosen is not None:
        if chosen not in {option.value for option in shown.options}:
            return Wrong({"choice": Text("Choose one of these")})
        return StepAnswer({"ANSWER": chosen})
    if shown.kind == "password":
        text = form.get("password", "")
        return Password(text) if text else Wrong({"password": Text("Enter your password")})
    if shown.kind == "new_password":
        return _new_password(shown, form)
    if shown.kind == "select":
        return Wrong({"choice": Text("Choose one of these")})
    code = form.get("code", "")
    if shown.numeric:
        code = clean(code)
    if not code:
        return Wrong({"code": Text("Enter the code") if shown.numeric else Text("Enter an answer")})
    if shown.kind == "authenticator":
        # API reference, VerifySoftwareToken: `[0-9]+`, 6.
        six = code.isascii() and code.isdigit() and len(code) == 6
        return AuthenticatorCode(code) if six else Wrong({"code": Text("The code is six digits")})
    if challenge.name not in CODES:
        return Wrong({"code": Text("This cannot be answered here")})
    return StepAnswer({CODES[challenge.name]: code})


def _passkey(form: Mapping[str, str]) -> Planned:
    if form.get("choice") == OTHER:
        return OtherWay()
    credential = form.get("credential", "")
    return StepAnswer({"CREDENTIAL": credential}) if credential else Wrong({"credential": NO_CREDENTIAL})


def _new_password(shown: View, form: Mapping[str, str]) -> Planned:
    password = form.get("new_password", "")
    errors = {} if password else {"new_password": Text("Enter a password")}
    values = {}
    for each in shown.attributes:
        value = form.get(PREFIX + each.name, "").strip()
        values[each.name] = value
        if not value:
            errors[each.field] = each.missing
    return Wrong(errors) if errors else StepAnswer(new_password(password, values))


def takes_password(challenge: Challenge) -> bool:
    """Return whether Cognito accepts a password here; for an account without one, every password is wrong."""
    return challenge.name != "SELECT_CHALLENGE" or bool(_PASSWORDS & set(challenge.choices))


def sends(planned: Planned) -> bool:
    """Return whether Cognito sends a message in response."""
    return isinstance(planned, StepAnswer) and planned.members.get("ANSWER") in _MESSAGES


def clean(code: str) -> str:
    """Remove the spaces and dashes that e-mails, apps and people put between a code's digits."""
    return _BETWEEN_DIGITS.sub("", code)


def asks_for_message(challenge: Challenge) -> bool:
    """Return whether a right answer proves that a message arrived."""
    return challenge.name in _MESSAGES


def needs_authenticator(challenge: Challenge) -> bool:
    """Return whether an authenticator key must be requested before the page can be shown."""
    return challenge.name == "MFA_SETUP" and _can_set_up(challenge)


def _can_set_up(challenge: Challenge) -> bool:
    return "SOFTWARE_TOKEN_MFA" in _listed(challenge.parameters.get("MFAS_CAN_SETUP"))


def _options(names: tuple[str, ...]) -> tuple[Option, ...]:
    return tuple(
        Option(name, text, needs_script=name == PASSKEY) for name, text in _CHOICES.items() if name in names
    )


def _listed(text: str | None) -> tuple[str, ...]:
    """Parse a JSON list in a challenge parameter."""
    try:
        names = json.loads(text or "[]")
    except ValueError:
        return ()
    return tuple(name for name in names if isinstance(name, str)) if isinstance(names, list) else ()


def passkey_request(parameters: Mapping[str, str]) -> str:
    """Return the options for the browser; without the list of passkeys where it would not fit into a cookie:
    then the browser offers all that it has for this site."""
    text = parameters.get(_REQUEST, "")
    if len(text) <= _LONGEST_REQUEST:
        return text
    try:
        options = json.loads(text)
    except ValueError:
        return "{}"
    return json.dumps({**options, "allowCredentials": []}) if isinstance(options, dict) else "{}"


# --- between two forms ---


def encode(step: SignInStep) -> bytes:
    challenge = step.challenge
    # Only what a page or an answer needs: a user's attributes would not fit into a cookie.
    kept = {
        name: value
        for name, value in challenge.parameters.items()
        if name in {"requiredAttributes", "CODE_DELIVERY_DESTINATION", "MFAS_CAN_CHOOSE", "MFAS_CAN_SETUP"}
    }
    if challenge.name == PASSKEY:
        kept[_REQUEST] = passkey_request(challenge.parameters)
    return json.dumps(
        [
            step.id,
            step.pool_id,
            step.return_to,
            step.secret,
            challenge.name,
            challenge.username,
            challenge.session,
            kept,
            challenge.choices,
            step.everywhere,
            step.acr_values,
        ],
        separators=(",", ":"),
    ).encode()


def decode(data: bytes) -> SignInStep | None:
    """Return the step that `encode` serialised; None if another version of this program sealed it."""
    try:
        step_id, pool_id, return_to, secret, *fields, choices, everywhere, acr_values = json.loads(data)
        name, username, session, parameters = fields
        challenge = Challenge(name, username, session, parameters, tuple(choices))
        return SignInStep(step_id, pool_id, challenge, return_to, secret, everywhere, acr_values)
    except (ValueError, TypeError):
        return None
