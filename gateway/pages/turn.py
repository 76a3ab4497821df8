"""One page request of a sign-in: its portal, its user pool, and where it leads in the end.

What all forms do alike is here: who is counted, what is logged, how a page is shown with what was wrong.
Invariant: a session begins in `Turn.go_on` only, with tokens that Cognito gave for this very sign-in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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

if TYPE_CHECKING:
    from gateway.aws.accounts import Accounts
    from gateway.aws.user_pool import UserPoolClient as Adapter
    from gateway.pages.portal import Portal

Result = TypeVar("Result")


# API reference, UsernameType: what is longer is nobody's, and need not be remembered whole.
_LONGEST_NAME = 128


@dataclass(frozen=True, slots=True)
class Turn:
    portal: Portal
    page: PageRequest
    pool: UserPoolAccess
    # Empty: no page was asked for.
    return_to: str = ""

    @property
    def form(self) -> Mapping[str, str]:
        return self.page.form

    @property
    def username(self) -> str:
        """As the form has it; nobody's name has a space at its ends, but keyboards add one.

        Of one that is too long a character more than any has: nobody's still, and it fits into a cookie."""
        return self.form.get("username", "").strip()[: _LONGEST_NAME + 1]

    @property
    def wanted(self) -> SignInTarget:
        return SignInTarget(self.pool.id, self.return_to)

    def link(self, path: str, **more: str) -> str:
        return self.wanted.link(self.page, path, **more)

    def to(self, path: str, **more: str) -> Answer:
        """On to another page of this sign-in."""
        return see_other(self.link(path, **more))

    async def policy(self) -> Policy | None:
        described = await self.pool.described()
        return None if described is None else described.policy

    async def ask(self, work: Callable[[Adapter], Result]) -> Result:
        """Cognito, about a sign-in. Raises GatewayError."""
        return await self.pool.sign_in(work, by=self._address, client=self.page.client)

    async def ask_account(self, work: Callable[[Accounts], Result]) -> Result:
        """Cognito, about an account. Raises GatewayError."""
        return await self.pool.account(work, by=self._address, client=self.page.client)

    # --- attempts ---

    def guessing(self, username: str) -> list[Key]:
        """Who is counted when a password or a code is wrong."""
        name = self._name(username)
        return [
            (ADDRESS, self._address),
            (BROWSER, self.page.browser_id),
            (PERSON, f"{name}\0{self._address}"),
            (NAME, name),
        ]

    def sending(self, *names: str) -> list[Key]:
        """Who is counted when something is sent: `names` are the account's, or where it goes."""
        keys: list[Key] = [(SENT_BY_ADDRESS, self._address)]
        for name in dict.fromkeys(map(self._name, names)):
            keys += [(SENT_TO_PERSON, f"{name}\0{self._address}"), (SENT_TO_NAME, name)]
        return keys

    def admit(self, keys: list[Key]) -> RefusalText | None:
        """What to say where they must wait; None: they may try, and it counts already.

        Counted before Cognito is asked, and in one go with the look at what counts: of a hundred guesses that
        come at once the last would else be let through by the count of the first.
        """
        attempts, now = self.portal.pages.attempts, self.page.moment
        # What Cognito was asked stays counted, whatever becomes of the rest.
        keys = [*keys, (ASKED, self._address)]
        told = refusal_texts.wait(attempts.wait(keys, now))
        if told is None:
            attempts.count(keys, now)
        return told

    def take_back(self, keys: list[Key]) -> None:
        """It was counted, and nothing was wrong that somebody guesses at."""
        self.portal.pages.attempts.take_back(keys, self.page.moment)

    def forgive(self, keys: list[Key]) -> None:
        """The person has proved to be who they say: what was wrong under that name before is forgotten.

        Not what came from the address: whoever has an account of their own would sign in with it after every
        so many guesses at others'.
        """
        self.take_back(keys)
        self.portal.pages.attempts.forgive(key for key in keys if key[0] in {PERSON, NAME})

    def arrived(self, username: str) -> None:
        """What was sent to them was theirs, and counts no more: an office signs in by codes every morning."""
        self.portal.pages.attempts.forgive_one(self.sending(username))

    def taken(self, keys: list[Key], outcome: Tokens | Challenge) -> None:
        """Cognito took it. A right password alone forgives nothing, or there would be no end to the codes
        that one can try after it."""
        if isinstance(outcome, Tokens):
            self.forgive(keys)
        else:
            self.take_back(keys)

    @property
    def _address(self) -> str:
        return by_address(ADDRESS, self.page.client)[1]

    def _name(self, username: str) -> str:
        # NUL is in no form (forms.py), so that two names cannot be made to look like a third.
        return f"{self.pool.id}\0{username[:_LONGEST_NAME].casefold()}"

    # --- answers ---

    def report(self, form: str, error: GatewayError, told: RefusalText) -> None:
        """A refusal in the log: Cognito's name for it always, its sentence where the operator must look."""
        self.portal.pages.log.event(
            "form_refused",
            level="error" if told.fault else "info",
            request_id=self.page.request_id,
            client=self.page.client,
            form=form,
            pool=self.pool.id,
            code=error.code if isinstance(error, CognitoRefused) else None,
            exact=str(error) if told.fault else None,
        )

    async def show(
        self,
        template: str,
        title: str,
        *,
        told: RefusalText | None = None,
        errors: Mapping[str, str] | None = None,
        **context: Any,
    ) -> Answer:
        """A form with what was wrong with it: `told` by Cognito, or `errors` by field."""
        problem = None if told is None or told.field is not None else told.sentence
        if told is refusal_texts.MISCONFIGURED:
            problem = f"{told.sentence} Request {self.page.request_id}."
        if told is not None and told.field is not None:
            errors = {told.field: told.sentence}
        context = {"kept": self.wanted.kept, **context}
        return await self.portal.pages.show(
            self.page,
            template,
            title,
            status=told.status if told else 400 if errors else 200,
            retry_after=told.retry_after if told else None,
            errors=errors,
            problem=problem,
            **context,
        )

    async def go_on(self, outcome: Tokens | Challenge, *, everywhere: bool = False) -> Answer:
        """After an answer that Cognito took: the next step, or a session. Raises GatewayError, Refusal.

        `everywhere`: the password is new, and whoever signed in with the old one is signed out first."""
        page, sealer = self.page, self.portal.sealers.challenge
        if isinstance(outcome, Tokens) and everywhere:
            # Cognito ends these tokens with all others: only a sign-in after that begins a session.
            ended = await self.portal.sessions.end_all(page, self.pool.configured, outcome)
            forget_step(page)
            return self.to("/sign_in", notice="everywhere" if ended else "reset")
        if isinstance(outcome, Tokens):
            tokens = await self._with_device(outcome)
            await self.portal.sessions.begin(page, self.pool.configured, tokens)
            forget_step(page)
            forget_account(page)
            return see_other(self.wanted.onward(page))
        challenge, secret = outcome, ""
        if sign_in_steps.needs_authenticator(challenge):
            secret, challenge = await self.ask(lambda adapter: adapter.begin_authenticator(outcome))
        step = new_step(self.pool.id, challenge, self.return_to, secret, everywhere=everywhere)
        keep_step(page, sealer, step)
        return see_other(page.prefix + "/challenge")

    async def _with_device(self, tokens: Tokens) -> Tokens:
        """In a pool that remembers devices, the tokens with the key of a confirmed one.

        Without it they cannot be renewed, and are good until they end: no reason to refuse the sign-in."""
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
    """The turn, or where to choose a pool first. Raises NotFound where managed login has the pages."""
    wanted = asked(page, portal.pages.pools)
    if wanted.pool_id is None:
        return see_other(wanted.link(page, "/sign_in") if portal.pages.pools else page.prefix + "/")
    pool = portal.pages.pool(wanted.pool_id)
    pool.need_own_pages()
    return Turn(portal, page, pool, wanted.return_to)
