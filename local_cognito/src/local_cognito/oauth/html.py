"""HTML of the hosted pages: plain, without scripts, every value escaped.

Pure. Invariant: external input reaches a page only through `escape`.
"""

from __future__ import annotations

from html import escape

from local_cognito.oauth.hosted import Step

# No script, no frames, no subresources. No form-action: browsers also apply it to the redirect that follows.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:22rem;margin:4rem auto;padding:0 1rem}"
    "label,input,button{display:block;width:100%;box-sizing:border-box}"
    "input{padding:.5rem;margin:.25rem 0 1rem;font:inherit}button{padding:.6rem;font:inherit}"
    ".error{color:#b00020}small{color:#555}@media(prefers-color-scheme:dark){"
    "body{background:#111;color:#eee}.error{color:#ff8a80}small{color:#aaa}}"
)


def sign_in_page(step: Step, *, action: str, csrf: str) -> str:
    """Return one step as a page with a form that posts to `action`."""
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in {**step.hidden, "csrf": csrf}.items()
    )
    fields = "".join(
        _field(name, label, kind, step.values.get(name, "")) for name, (label, kind) in step.fields.items()
    )
    error = f'<p class="error" role="alert">{escape(step.error)}</p>' if step.error else ""
    note = f"<p>{escape(step.note)}</p>" if step.note else ""
    button = '<button name="signInSubmitButton" value="">Sign in</button>' if step.fields else ""
    form = f'<form method="post" action="{escape(action)}">{hidden}{fields}{button}</form>'
    return _page(step.title, error + note + form)


def _field(name: str, label: str, kind: str, value: str) -> str:
    complete = {
        "username": "username",
        "email": "email",
        "password": "current-password",
        "NEW_PASSWORD": "new-password",
    }.get(name, "one-time-code")
    return (
        f'<label for="{escape(name)}">{escape(label)}</label>'
        f'<input id="{escape(name)}" name="{escape(name)}" type="{kind}" value="{escape(value)}" '
        f'autocomplete="{complete}" autocapitalize="none" required>'
    )


def error_page(error: str, why: str) -> str:
    return _page("An error was encountered with the requested page", f"<p>{escape(error)}: {escape(why)}</p>")


def _page(title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body><main><h1>{escape(title)}</h1>{body}"
        "<small>local Cognito: an emulation of Amazon Cognito's managed login</small></main></body></html>"
    )
