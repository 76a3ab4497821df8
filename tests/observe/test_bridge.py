"""What other people's code logs: nothing secret in it reaches our log."""

import logging

import pytest
from aiohttp.http_exceptions import BadHttpMessage

from gateway.observe.bridge import Bridge, describe_exception, redact

TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9abcdefgh.c2lnbmF0dXJlc2lnbmF0dXJl"


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {TOKEN}",
        f"authorization: bearer {TOKEN[:12]}",
        "Authorization: Basic YWxpY2U6U0VDUkVU",
        f"bad token {TOKEN!r}",
        f"/callback/{TOKEN}/x",
        "Cookie: cognito_gateway=c2VjcmV0; a=b",
        "b'Set-Cookie': b'session=c2VjcmV0'",
    ],
)
def test_credentials_are_redacted(text: str) -> None:
    cut = redact(text)
    assert "[redacted]" in cut
    for secret in (TOKEN[:12], TOKEN[-12:], "YWxpY2U6U0VDUkVU", "c2VjcmV0"):
        assert secret not in cut


@pytest.mark.parametrize(
    "text",
    [
        "Executing <Task pending name='Task-7' coro=<serve() running at serve/worker.py:12>> took 0.2 s",
        "https://cognito-idp.ap-south-1.amazonaws.com/ap-south-1_TestPool1/.well-known/jwks.json",
        "gateway.gate.authenticate",
    ],
)
def test_usual_texts_stay(text: str) -> None:
    assert redact(text) == text


def failed(error: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        raise error from cause
    except type(error) as exc:
        return exc


def test_messages_of_http_parsers_are_left_out() -> None:
    cause = failed(BadHttpMessage("Invalid header: 'X-Api-Key: SECRET'"))
    text = describe_exception(failed(ValueError("our own words"), cause))
    assert "SECRET" not in text
    assert "BadHttpMessage\n" in text
    assert text.endswith("ValueError: our own words")


def test_exceptions_are_redacted() -> None:
    assert describe_exception(ValueError(f"no {TOKEN}")) == "ValueError: no [redacted]"


def test_a_circle_of_causes_ends() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    assert describe_exception(one).endswith("ValueError: one")


def test_a_log_call_with_wrong_arguments_does_not_raise() -> None:
    events: list[dict[str, str]] = []

    def event(name: str, level: str, **fields: str) -> None:
        events.append({"event": name, "level": level, **fields})

    Bridge(event).emit(logging.LogRecord("x", logging.ERROR, "", 1, "%d of %s", ("one",), None))
    assert events == [{"event": "log", "level": "error", "logger": "x", "message": "%d of %s"}]
