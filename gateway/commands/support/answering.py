"""Answers Cognito's challenges from the terminal, or from the lines of standard input.

Invariant: each challenge is answered only with what was typed for it; an unknown challenge ends the sign-in
with an error that names it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from gateway.aws.challenges import CODES, code_destination, new_password, required_attributes
from gateway.aws.password_shape import possible
from gateway.aws.values import Challenge, Tokens
from gateway.commands.support.console import Console
from gateway.errors import GatewayError, system_said

if TYPE_CHECKING:
    from gateway.aws.user_pool import UserPoolClient

_PASSWORDS = frozenset({"PASSWORD", "PASSWORD_SRP"})
_NONE: Mapping[str, str] = MappingProxyType({})
# A user's attributes: at most about 50, with up to 2048 characters each.
_LARGEST_FILE = 256 * 1024


def answer(
    pool: UserPoolClient, challenge: Challenge, console: Console, attributes: Mapping[str, str] = _NONE
) -> Tokens | Challenge:
    """Answer one challenge; `attributes` are those that a new password may need. Raises GatewayError,
    including CognitoRefused."""
    name = challenge.name
    if name in CODES:
        return pool.answer(challenge, {CODES[name]: _code(challenge, console)})
    if name == "NEW_PASSWORD_REQUIRED":
        return pool.answer(challenge, _new_password(challenge, console, attributes))
    if name == "SELECT_MFA_TYPE":
        kinds = _names(challenge.parameters.get("MFAS_CAN_CHOOSE", ""))
        return pool.answer(challenge, {"ANSWER": console.choice("Choose a second factor.", kinds)})
    if name == "MFA_SETUP":
        return _set_up_authenticator(pool, challenge, console)
    if name == "SELECT_CHALLENGE":
        chosen = console.choice("How do you want to sign in?", challenge.choices)
        if chosen not in _PASSWORDS:
            return pool.answer(challenge, {"ANSWER": chosen})
        return pool.answer_with_password(challenge, _password(console))
    if name in _PASSWORDS:
        return pool.answer_with_password(challenge, _password(console))
    raise GatewayError(f"Cognito requires {name}, which cannot be answered at a terminal")


def _password(console: Console) -> str:
    return possible(console.secret("Password: ", "password"), "password")


def _code(challenge: Challenge, console: Console) -> str:
    where = code_destination(challenge.parameters)
    prompt = f"Code ({challenge.name}{', sent to ' + where if where else ''}): "
    return console.line(prompt, f"code for Cognito's challenge {challenge.name}")


def read_attributes(path: Path) -> dict[str, str]:
    """Read a JSON object of strings, attribute to value. Raises GatewayError."""
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(_LARGEST_FILE + 1))
    except OSError as error:
        raise GatewayError(f"--attributes-file {path}: cannot be read: {system_said(error)}") from error
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(each, str) for each in found.values()):
        raise GatewayError(
            f'--attributes-file {path}: is not a JSON object of strings such as {{"given_name": "Alice"}}'
        )
    return found


def _new_password(challenge: Challenge, console: Console, given: Mapping[str, str]) -> dict[str, str]:
    if console.interactive:
        console.say("Cognito requires a new password.")
    asked = console.secret("New password: ", "new password, which Cognito requires")
    password = possible(asked, "new password")
    if console.interactive and console.secret("Repeat it: ", "new password") != password:
        raise GatewayError("the new passwords do not match: nothing was changed")
    attributes = {}
    for name in required_attributes(challenge.parameters):
        # Without a terminal, from the next line of standard input, like every other answer.
        attributes[name] = given.get(name) or console.line(
            f"{name}: ", f"value for the attribute {name}, which Cognito requires (or pass --attributes-file)"
        )
    return new_password(password, attributes)


def _set_up_authenticator(pool: UserPoolClient, challenge: Challenge, console: Console) -> Tokens | Challenge:
    kinds = _names(challenge.parameters.get("MFAS_CAN_SETUP", ""))
    if kinds and "SOFTWARE_TOKEN_MFA" not in kinds:
        raise GatewayError(f"Cognito requires {', '.join(kinds)} to be set up: use the sign-in page")
    secret, following = pool.begin_authenticator(challenge)
    console.say(f"The pool requires a second factor. Add this key to your authenticator app: {secret}")
    return pool.finish_authenticator(following, console.line("Its code: ", "code of the authenticator app"))


def _names(text: str) -> tuple[str, ...]:
    """Parse a JSON list of names, as in challenge parameters; empty if it is not one."""
    try:
        names = json.loads(text or "[]")
    except ValueError:
        return ()
    return tuple(name for name in names if isinstance(name, str))
