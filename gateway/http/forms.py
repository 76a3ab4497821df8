"""A strict parser for forms and query strings, so that no two parsers read them differently. Pure.

Invariant: each name occurs once and each value is text without NUL, or MalformedForm is raised.
"""

from __future__ import annotations

from gateway.errors import MalformedForm
from gateway.policy.percent import unquoted

# The largest form is a first sign-in that asks for required attributes; none needs a hundred fields.
_MOST_FIELDS = 100

Fields = dict[str, str]


def parse_fields(text: str) -> Fields:
    """Parse an `application/x-www-form-urlencoded` text (URL standard, section 5.1; stricter).

    Raises MalformedForm.
    """
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
            raise MalformedForm("a field occurs twice")
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
        raise MalformedForm("a field contains NUL")
    return decoded
