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
from gateway.pages.return_to import page_wanted

_NOT_OURS = "The application isn't responding"
# Title and sentence by status, unless the refusal has a better one.
_SAID = {
    400: ("This address isn't valid", "Check the address and try again."),
    502: (_NOT_OURS, "Try again in a moment. If this continues, tell your administrator."),
    503: ("Not available right now", "Try again in a moment. If this continues, tell your administrator."),
    504: (_NOT_OURS, "It took too long to answer. Try again in a moment."),
    500: ("Something went wrong", "Try again. If this continues, tell your administrator."),
}


def error_page(
    look: Look, request: Request, refusal: Refusal, plain: Answer, *, prefix: str, origin: str
) -> Answer | None:
    """Return the page in place of `plain`, whose headers it keeps; None if this is not a navigation."""
    if not request.method or not seen_by_a_person(request):
        return None
    title, sentence = _said(refusal, plain.status)
    page = respond.message(
        look,
        title,
        [sentence],
        status=plain.status,
        prefix=prefix,
        origin=origin,
        request_id=request.request_id.decode("ascii"),
        back=way_on(request, refusal, prefix),
    )
    page.headers += [header for header in plain.headers if header[0].lower() != b"content-type"]
    page.close, page.reason = plain.close, plain.reason
    return respond.guarded(page, request_id=request.request_id)


def _said(refusal: Refusal, status: int) -> tuple[str, str]:
    if isinstance(refusal, NotConfigured):
        return "Not connected yet", refusal.detail
    if isinstance(refusal, InsufficientAuthentication):
        return refusal.title, refusal.detail
    if status == HTTPStatus.UNAUTHORIZED:
        return "Sign in to continue", "Your request was not accepted. Sign in, go back, and send it again."
    if isinstance(refusal, Forbidden):
        return "You don't have access", "Ask your administrator for access, or sign in with another account."
    if isinstance(refusal, RateLimited):
        return refusal.title, f"Try again in {_while(refusal.retry_after or 1)}."
    return _SAID.get(status, (refusal.title, refusal.detail))


def _while(seconds: int) -> str:
    if seconds > 90:
        return f"{-(-seconds // 60)} minutes"
    return f"{seconds} seconds" if seconds > 1 else "a second"


def way_on(request: Request, refusal: Refusal, prefix: str) -> tuple[str, str]:
    """Return the text and the address of the link that an error page offers."""
    if isinstance(refusal, FormRefused) and page_wanted(request.raw_path):
        return "Reload the page", request.raw_path
    if isinstance(refusal, NoCredentials):
        return "Sign in", f"{prefix}/sign_in"
    if isinstance(refusal, NotConfigured):
        return "Set up the gateway", f"{prefix}/"
    if isinstance(refusal, (Forbidden, InsufficientAuthentication)):
        return "Your account", f"{prefix}/"
    again = page_wanted(request.raw_path + request.query) if request.method == "GET" else ""
    if again and (refusal.status >= 500 or isinstance(refusal, RateLimited)):
        return "Try again", again
    return "Open the application", "/"
