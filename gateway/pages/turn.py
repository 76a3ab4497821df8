"""The context of one form request: portal, user pool and destination, with what all forms have in common.

That is counting attempts, logging refusals and rendering a form with its errors. Invariant: only `Turn.go_on`
begins a session, with tokens that Cognito issued for this sign-in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from gateway.aws.values import Challenge, CognitoRefused, Tokens
from gateway.errors import GatewayError
from gateway.http.answers import Answer
from gateway.pages import refusal_texts, sign_in_steps
from gateway.pages.attempts import (
    ADDRESS,
    ASKED,
    BROWSER,
    NAME,
    PERSON,
    SENT_BY_ADDRESS,
    SENT_TO_NAME,
    SENT_TO_PERSON,
    Key,
    by_address,
)
from gateway.pages.kept import forget_account, forget_step, keep_step, new_step
from gateway.pages.password_rules import Policy
from gateway.pages.refusal_texts import RefusalText
from gateway.pages.respond import see_other
from gateway.pages.sign_in_target import SignInTarget, asked
from gateway.pages.user_pool_access import UserPoolAccess
from gateway.sessions.page_request import PageRequest
from gateway.texts import Text

if TYPE_CHECKING:
    from gateway.aws.accounts import Accounts
    from gateway.aws.own_account import OwnAccount
    from gateway.aws.user_pool import UserPoolClient as Adapter
    from gateway.pages.portal import Portal
    from gateway.sessions.session import Session

Result = TypeVar("Result")


# API reference, UsernameType: no user has a longer name, so the rest need not be kept.
_LONGEST_NAME = 128
# The claims of an ID token that a user may sign in with.
_NAMES = ("cognito:username", "email", "phone_number", "preferred_username")


@dataclass(frozen=True, slots=True)
class Turn:
    portal: Portal
    page: PageRequest
    pool: UserPoolAccess
    # Empty: no page was requested.
    return_to: str = ""
    # Empty: no route asks how the user signs in.
    acr_values: str = ""

    @property
    def form(self) -> Mapping[str, str]:
        return self.page.form

    @property
    def username(self) -> str:
        """The username in the form. No username has spaces at its ends, but keyboards add them.

        One that is too long is cut one character above the limit: still invalid, and small enough for a
        cookie."""
        return self.form.get("username", "").strip()[: _LONGEST_NAME + 1]

    @property
    def wanted(self) -> SignInTarget:
        return SignInTarget(self.pool.id, self.return_to, self.acr_values)

    def link(self, path: str, **more: str) -> str:
        return self.wanted.link(self.page, path, **more)

    def to(self, path: str, **more: str) -> Answer:
        """Redirect to another page of this sign-in."""
        return see_other(self.link(path, **more))

    async def toward(self, username: str) -> Turn:
        """Return the turn without acr values, unless this user is the one who is signed in.

        What Cognito offers toward a level would show strangers who has an account with a strong factor."""
        if not self.acr_values:
            return self
        claims = await self.portal.id_claims(self.page)
        every = {} if claims is None else claims.every
        session = self.page.session
        names = {"" if session is None else session.username, *(every.get(name) for name in _NAMES)}
        known = {name.casefold() for name in names if isinstance(name, str)}
        return self if username.casefold() in known else replace(self, acr_values="")

    async def policy(self) -> Policy | None:
        described = await self.pool.described()
        return None if described is None else described.policy

    async def ask(self, work: Callable[[Adapter], Result]) -> Result:
        """Call Cognito about a sign-in. Raises GatewayError."""
        return await self.pool.sign_in(work, by=self._address, client=self.page.client)

    async def ask_account(self, work: Callable[[Accounts], Result]) -> Result:
        """Call Cognito about an account. Raises GatewayError."""
        return await self.pool.account(work, by=self._address, client=self.page.client)

    async def ask_own(self, work: Callable[[OwnAccount], Result]) -> Result:
        """Call Cognito about the account of the user who is signed in. Raises GatewayError."""
        return await self.pool.own(work, by=self._address, client=self.page.client)

    # --- attempts ---

    def guessing(self, username: str) -> list[Key]:
        """Return the keys that count a wrong password or code."""
        name = self._name(username)
        return [
            (ADDRESS, self._address),
            (BROWSER, self.page.browser_id),
            (PERSON, f"{name}\0{self._address}"),
            (NAME, name),
        ]

    def sending(self, *names: str) -> list[Key]:
        """Return the keys that count a sent message. `names`: the username, and where the message goes."""
        keys: list[Key] = [(SENT_BY_ADDRESS, self._address)]
        for name in dict.fromkeys(map(self._name, names)):
            keys += [(SENT_TO_PERSON, f"{name}\0{self._address}"), (SENT_TO_NAME, name)]
        return keys

    def admit(self, keys: list[Key]) -> RefusalText | None:
        """Count the attempt, or return a message if it must wait.

        It is counted before Cognito is called, in one step with the check: otherwise a hundred parallel
        guesses would all pass on the count of the first.
        """
        attempts, now = self.portal.pages.attempts, self.page.moment
        # Calls to Cognito stay counted, whatever happens to the other keys.
        keys = [*keys, (ASKED, self._address)]
        refusal_text = refusal_texts.wait(attempts.wait(keys, now))
        if refusal_text is None:
            attempts.count(keys, now)
        return refusal_text

    def take_back(self, keys: list[Key]) -> None:
        """Uncount the attempt: nothing guessable was wrong."""
        self.portal.pages.attempts.take_back(keys, self.page.moment)

    def forgive(self, keys: list[Key]) -> None:
        """Forget earlier failures under this username: the user has proved their identity.

        Failures of the address stay: otherwise an attacker with an account could reset its count by signing
        in after every few guesses at other accounts.
        """
        self.take_back(keys)
        self.portal.pages.attempts.forgive(key for key in keys if key[0] in {PERSON, NAME})

    def arrived(self, username: str) -> None:
        """Uncount the message: it reached its owner. Otherwise an office that signs in by code would run
        out."""
        self.portal.pages.attempts.forgive_one(self.sending(username))

    def taken(self, keys: list[Key], outcome: Tokens | Challenge) -> None:
        """Settle the count after Cognito accepted an answer. A password alone clears nothing: otherwise codes
        could be tried after it without limit."""
        if isinstance(outcome, Tokens):
            self.forgive(keys)
        else:
            self.take_back(keys)

    @property
    def _address(self) -> str:
        return by_address(ADDRESS, self.page.client)[1]

    def _name(self, username: str) -> str:
        # No form contains NUL (forms.py), so the parts cannot be confused.
        return f"{self.pool.id}\0{username[:_LONGEST_NAME].casefold()}"

    # --- answers ---

    def report(self, form: str, error: GatewayError, refusal_text: RefusalText) -> None:
        """Log a refusal: always Cognito's error code, and its message if the operator must act."""
        self.portal.pages.log.event(
            "form_refused",
            level="error" if refusal_text.fault else "info",
            request_id=self.page.request_id,
            client=self.page.client,
            form=form,
            pool=self.pool.id,
            code=error.code if isinstance(error, CognitoRefused) else None,
            exact=str(error) if refusal_text.fault else None,
        )

    def audit(self, change: str, session: Session, about: str | None = None) -> None:
        """Log a change of an account by its user. `about`: which part of it, never a value."""
        self.portal.pages.log.event(
            "account_changed",
            request_id=self.page.request_id,
            client=self.page.client,
            pool=session.pool_id,
            subject=session.subject,
            change=change,
            about=about,
        )

    async def show(
        self,
        template: str,
        title: Text,
        *,
        refusal_text: RefusalText | None = None,
        errors: Mapping[str, str] | None = None,
        **context: Any,
    ) -> Answer:
        """Return a form with its errors: one by Cognito, or `errors` by field."""
        problem = None if refusal_text is None or refusal_text.field is not None else refusal_text.sentence
        if refusal_text is refusal_texts.MISCONFIGURED:
            problem = Text(
                "Sign-in is misconfigured. Please tell your administrator. Request {id}.",
                id=self.page.request_id,
            )
        if refusal_text is not None and refusal_text.field is not None:
            errors = {refusal_text.field: refusal_text.sentence}
        context = {"kept": self.wanted.kept, **context}
        return await self.portal.pages.show(
            self.page,
            template,
            title,
            status=refusal_text.status if refusal_text else 400 if errors else 200,
            retry_after=refusal_text.retry_after if refusal_text else None,
            errors=errors,
            problem=problem,
            **context,
        )

    async def go_on(self, outcome: Tokens | Challenge, *, everywhere: bool = False) -> Answer:
        """Continue after Cognito accepted an answer: with the next step, or a session. Raises GatewayError,
        Refusal.

        `everywhere`: the password was reset, and the user's other sessions must end first."""
        page, sealer = self.page, self.portal.sealers.challenge
        if isinstance(outcome, Tokens) and everywhere:
            # Cognito revokes these tokens with all others: only a later sign-in begins a session.
            ended = await self.portal.sessions.end_all(page, self.pool.configured, outcome)
            forget_step(page)
            return self.to("/sign_in", notice="everywhere" if ended else "reset")
        if isinstance(outcome, Tokens):
            tokens = await self._with_device(outcome)
            await self.portal.signed_in(page, self.pool.configured, tokens, self.return_to)
            forget_step(page)
            forget_account(page)
            return see_other(self.wanted.onward(page))
        challenge, secret = outcome, ""
        if sign_in_steps.needs_authenticator(challenge):
            secret, challenge = await self.ask(lambda adapter: adapter.begin_authenticator(outcome))
        step = new_step(self.wanted, challenge, secret, everywhere=everywhere)
        keep_step(page, sealer, step)
        return see_other(page.prefix + "/challenge")

    async def _with_device(self, tokens: Tokens) -> Tokens:
        """Return the tokens with a confirmed device key, in a pool that remembers devices.

        Without it they cannot be refreshed, but are valid until they expire: no reason to refuse the
        sign-in."""
        if tokens.new_device is None:
            return tokens
        try:
            return await self.ask(lambda adapter: adapter.confirm_device(tokens))
        except GatewayError as error:
            self.portal.pages.log.event(
                "device_unconfirmed",
                level="warning",
                request_id=self.page.request_id,
                pool=self.pool.id,
                exact=str(error),
            )
            return tokens


def turn_of(portal: Portal, page: PageRequest) -> Turn | Answer:
    """Return the turn, or a redirect to choose a pool. Raises NotFound if managed login has the pages."""
    wanted = asked(page, portal.pages.pools, portal.pages.levels)
    if wanted.pool_id is None:
        return see_other(wanted.link(page, "/sign_in") if portal.pages.pools else page.prefix + "/")
    pool = portal.pages.pool(wanted.pool_id)
    pool.need_own_pages()
    return Turn(portal, page, pool, wanted.return_to, wanted.acr_values)
