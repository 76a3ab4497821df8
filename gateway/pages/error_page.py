"""Error pages for people who open the API in a browser: what happened, and what to do next.

Programs get problem+json (http/answers.py) with the same status and headers. Pure. Invariant: the page shows
nothing of the request but its ID and a link back to it, which is a path of this site.
"""

from __future__ import annotations

from http import HTTPStatus

from gateway.errors import (
    Forbidden,
    FormRefused,
    InsufficientAuthentication,
    NoCredentials,
    NotConfigured,
    RateLimited,
    Refusal,
)
from gateway.http.answers import Answer
from gateway.http.navigation import seen_by_a_person
from gateway.http.request import Request
from gateway.pages import respond
from gateway.pages.appearance import Look
from gateway.pages.negotiation import language_of
from gateway.pages.return_to import page_wanted
from gateway.texts import Text

_NOT_OURS = Text("The application isn't responding")
_TELL = Text("Try again in a moment. If this continues, tell your administrator.")
# Title and sentence by status, unless the refusal has a better one.
_SAID = {
    400: (Text("This address isn't valid"), Text("Check the address and try again.")),
    502: (_NOT_OURS, _TELL),
    503: (Text("Not available right now"), _TELL),
    504: (_NOT_OURS, Text("It took too long to answer. Try again in a moment.")),
    500: (Text("Something went wrong"), Text("Try again. If this continues, tell your administrator.")),
}


def error_page(
    look: Look,
    request: Request,
    refusal: Refusal,
    plain: Answer,
    *,
    prefix: str,
    origin: str,
    cookie_name: str,
    again: str | None = None,
) -> Answer | None:
    """Return the page in place of `plain`, whose headers it keeps; None if this is not a navigation.

    `cookie_name` is `sign_in.session.cookie_name`; `again`: where a person signs in by another
    way."""
    if not request.method or not seen_by_a_person(request):
        return None
    title, sentence = _said(refusal, plain.status)
    page = respond.message(
        look,
        title,
        [sentence],
        status=plain.status,
        language=language_of(request, look.languages, secure=origin.startswith("https:"), base=cookie_name),
        prefix=prefix,
        origin=origin,
        request_id=request.request_id.decode("ascii"),
        back=way_on(request, refusal, prefix),
        second=None if again is None else (Text("Sign in again"), again),
    )
    page.headers += [header for header in plain.headers if header[0].lower() != b"content-type"]
    page.close, page.reason = plain.close, plain.reason
    return respond.guarded(page, request_id=request.request_id)


def _said(refusal: Refusal, status: int) -> tuple[Text, Text]:
    if isinstance(refusal, NotConfigured):
        return Text("Not connected yet"), Text.of(refusal.detail)
    if isinstance(refusal, InsufficientAuthentication) and refusal.weak:
        return (
            Text("A stronger sign-in is needed"),
            Text(
                "The way you signed in is not strong enough for this page. Add another way, such as an "
                "authenticator app, to your account. Then open this page again."
            ),
        )
    if isinstance(refusal, InsufficientAuthentication):
        return Text.of(refusal.title), Text.of(refusal.detail)
    if status == HTTPStatus.UNAUTHORIZED:
        return (
            Text("Sign in to continue"),
            Text("Your request was not accepted. Sign in, go back, and send it again."),
        )
    if isinstance(refusal, Forbidden):
        return (
            Text("You don't have access"),
            Text("Ask your administrator for access, or sign in with another account."),
        )
    if isinstance(refusal, RateLimited):
        return Text.of(refusal.title), _again_in(refusal.retry_after or 1)
    return _SAID.get(status, (Text.of(refusal.title), Text.of(refusal.detail)))


def _again_in(seconds: int) -> Text:
    if seconds > 90:
        minutes = -(-seconds // 60)
        return Text.counted("Try again in a minute.", "Try again in {count} minutes.", minutes)
    return Text.counted("Try again in a second.", "Try again in {count} seconds.", seconds)


def way_on(request: Request, refusal: Refusal, prefix: str) -> tuple[Text, str]:
    """Return the text and the address of the link that an error page offers."""
    if isinstance(refusal, FormRefused) and page_wanted(request.raw_path):
        return Text("Reload the page"), request.raw_path
    if isinstance(refusal, NoCredentials):
        return Text("Sign in"), f"{prefix}/sign_in"
    if isinstance(refusal, NotConfigured):
        return Text("Set up the gateway"), f"{prefix}/"
    if isinstance(refusal, (Forbidden, InsufficientAuthentication)):
        return Text("Your account"), f"{prefix}/"
    again = page_wanted(request.raw_path + request.query) if request.method == "GET" else ""
    if again and (refusal.status >= 500 or isinstance(refusal, RateLimited)):
        return Text("Try again"), again
    return Text("Open the application"), "/"
