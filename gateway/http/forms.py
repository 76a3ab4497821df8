"""What a form or a query string says: strict, so that two readers never see two things in it. Pure.

Invariant: every name stands once, every value is text without NUL, or MalformedForm is raised.
"""

from __future__ import annotations

from gateway.errors import MalformedForm
from gateway.policy.percent import unquoted

# The largest form is the first sign-in of a user with required attributes; nobody's has a hundred.
_MOST_FIELDS = 100

Fields = dict[str, str]


def parse_fields(text: str) -> Fields:
    """An `application/x-www-form-urlencoded` text (URL standard, section 5.1), stricter."""
    fields: Fields = {}
    if not text:
        return fields
    if text.count("&") >= _MOST_FIELDS:
        raise MalformedForm(f"more than {_MOST_FIELDS} fields")
    for pair in text.split("&"):
        name, _, value = pair.partition("=")
        key = _decoded(name)
        # RFC 6749 section 3.1: parameters must not be included more than once.
        if key in fields:
            raise MalformedForm("a field stands twice")
        fields[key] = _decoded(value)
    return fields


def _decoded(text: str) -> str:
    if not text.isascii():
        raise MalformedForm("a field is not percent-encoded")
    try:
        data = unquoted(text.replace("+", " "))
    except ValueError:
        raise MalformedForm("a field is not percent-encoded") from None
    try:
        decoded = data.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedForm("a field is not UTF-8") from None
    if "\0" in decoded:
        raise MalformedForm("a field holds NUL")
    return decoded
