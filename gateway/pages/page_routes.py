"""The routing table of the pages: path under the prefix → method → handler.

Loaded with the first page, so that a gateway whose clients all send tokens loads no page. A GET handler
answers HEAD too; a POST handler is called only if the form's token was valid.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from gateway.errors import NavigationOnly
from gateway.http.answers import Answer
from gateway.http.navigation import shown_to_a_person
from gateway.pages import (
    account,
    authorize,
    challenge,
    change_password,
    confirm,
    consent,
    credentials,
    delete_account,
    forgot_password,
    home,
    language,
    managed_login,
    own_sessions,
    passkey_autofill,
    passkeys,
    profile,
    second_factor,
    setup,
    sign_in,
    sign_out,
    sign_up,
    userinfo,
)
from gateway.pages.portal import Portal
from gateway.sessions.page_request import PageRequest

Handler: TypeAlias = Callable[[Portal, PageRequest], Awaitable[Answer]]
Routes: TypeAlias = Mapping[str, Mapping[str, Handler]]


def shown(handler: Handler) -> Handler:
    """Wrap a handler so that it serves only navigations by a person, no script on the API's pages."""

    async def only_shown(portal: Portal, page: PageRequest) -> Answer:
        if not shown_to_a_person(page.request, page.origin):
            raise NavigationOnly("the Fetch metadata is not that of a navigation")
        return await handler(portal, page)

    return only_shown


def routes() -> Routes:
    return {
        "/": {"GET": home.show, "POST": shown(home.reveal)},
        "/authenticator": {"GET": shown(second_factor.show_app), "POST": shown(second_factor.submit_app)},
        "/authorize": {"GET": authorize.show},
        "/callback": {"GET": managed_login.callback},
        "/challenge": {"GET": challenge.show, "POST": challenge.submit},
        "/change_password": {"GET": change_password.show, "POST": change_password.submit},
        "/confirm": {"GET": confirm.show, "POST": confirm.submit},
        "/consent": {"GET": shown(consent.show), "POST": shown(consent.submit)},
        "/credentials": {"GET": credentials.credentials, "POST": shown(credentials.of_the_session)},
        "/account": {"GET": shown(account.show)},
        "/add_passkey": {"GET": shown(passkeys.show_new), "POST": shown(passkeys.add)},
        "/delete_account": {"GET": shown(delete_account.show), "POST": shown(delete_account.submit)},
        "/forgot_password": {"GET": forgot_password.show, "POST": forgot_password.submit},
        "/language": {"GET": language.show, "POST": language.choose},
        "/passkey": {"GET": passkey_autofill.back, "POST": shown(passkey_autofill.submit)},
        "/passkey_options": {"POST": passkey_autofill.options},
        "/passkeys": {"GET": shown(passkeys.show), "POST": shown(passkeys.delete)},
        "/profile": {"GET": shown(profile.show), "POST": shown(profile.submit)},
        "/reset_password": {"GET": forgot_password.show_reset, "POST": forgot_password.submit_reset},
        "/second_factor": {"GET": second_factor.back, "POST": shown(second_factor.change)},
        "/sessions": {"GET": shown(own_sessions.show), "POST": shown(own_sessions.end)},
        "/setup": {"GET": shown(setup.show), "POST": shown(setup.submit)},
        "/sign_in": {"GET": sign_in.show, "POST": sign_in.submit},
        "/sign_out": {"GET": sign_out.show, "POST": sign_out.sign_out},
        "/start": {"GET": managed_login.start},
        "/sign_up": {"GET": sign_up.show, "POST": sign_up.submit},
        "/verify_attribute": {"GET": shown(profile.show_code), "POST": shown(profile.submit_code)},
        "/userinfo": {"GET": userinfo.userinfo},
    }
