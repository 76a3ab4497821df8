"""AWS's Query protocol: form fields to values, results to XML.

Pure. Invariant: everything written as XML is escaped here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from local_cognito.errors import AwsError

# XML 1.0 section 2.2: characters that a document may not contain even escaped.
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def parse(body: bytes) -> dict[str, str]:
    """Return the form's fields. Raises MalformedQueryString."""
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True, errors="strict")
    except (ValueError, UnicodeDecodeError):
        raise AwsError("MalformedQueryString", "The body is not a form") from None
    fields = dict(pairs)
    if len(fields) != len(pairs) or any(_UNWRITABLE.search(value) for value in fields.values()):
        raise AwsError(
            "MalformedQueryString", "A field is repeated or contains characters not allowed in XML"
        )
    return fields


def items(fields: Mapping[str, str], name: str) -> list[dict[str, str]]:
    """Return a list of structures, such as `Tags.member.1.Key=…`."""
    found: dict[int, dict[str, str]] = {}
    for key, value in fields.items():
        match = re.fullmatch(rf"{name}\.member\.([1-9][0-9]{{0,3}})\.(\w+)", key)
        if match is not None:
            found.setdefault(int(match[1]), {})[match[2]] = value
    return [found[number] for number in sorted(found)]


def required(fields: Mapping[str, str], name: str) -> str:
    value = fields.get(name)
    if not value:
        raise AwsError("ValidationError", f"1 validation error detected: {name} must not be null")
    return value


def answer(action: str, namespace: str, result: Mapping[str, Any] | None, request_id: str) -> str:
    parts: dict[str, Any] = {} if result is None else {f"{action}Result": result}
    parts["ResponseMetadata"] = {"RequestId": request_id}
    return f'<{action}Response xmlns="{namespace}">{_children(parts)}</{action}Response>'


def refusal(error: AwsError, namespace: str, request_id: str) -> str:
    kind = "Receiver" if error.status >= 500 else "Sender"
    parts = {
        "Error": {"Type": kind, "Code": error.type, "Message": _UNWRITABLE.sub("?", error.message)},
        "RequestId": request_id,
    }
    return f'<ErrorResponse xmlns="{namespace}">{_children(parts)}</ErrorResponse>'


def _children(parts: Mapping[str, Any]) -> str:
    return "".join(f"<{name}>{_text(value)}</{name}>" for name, value in parts.items())


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return _children(value)
    if isinstance(value, list):
        return "".join(f"<member>{_text(one)}</member>" for one in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return escape(str(value))
