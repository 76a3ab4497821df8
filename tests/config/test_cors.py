"""`cors`: origins are compared byte by byte, so what no browser sends is a mistake."""

# ruff: noqa: E501 - the sentences stand whole, as they are shown

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.config_files import config, said


@pytest.mark.parametrize(
    ("origin", "sent"),
    [
        ("https://App.Example.com", "https://app.example.com"),
        ("https://app.example.com/", "https://app.example.com"),
        ("https://app.example.com:443", "https://app.example.com"),
        ("http://app.example.com:80/x", "http://app.example.com"),
        ("https://[0:0:0:0:0:0:0:1]:8443", "https://[::1]:8443"),
    ],
)
def test_an_origin_that_no_browser_sends_is_a_mistake_that_shows_the_right_one(
    tmp_path: Path, origin: str, sent: str
) -> None:
    assert said(tmp_path, f"cors: {{allow_origins: ['{origin}']}}\n") == [
        f"F:1: cors.allow_origins[0]: '{origin}' is not what browsers send: write {sent}"
    ]


@pytest.mark.parametrize(
    "origin", ["app.example.com", "https://*.example.com", "https://a b", "https://u:p@h"]
)
def test_a_value_that_is_no_origin_is_a_mistake(tmp_path: Path, origin: str) -> None:
    (line,) = said(tmp_path, f"cors: {{allow_origins: ['{origin}']}}\n")
    assert line.startswith("F:1: cors.allow_origins[0]: ")
    assert "u:p" not in line


def test_origins_that_are_accepted(tmp_path: Path) -> None:
    text = "cors: {allow_origins: ['https://a.example', 'http://localhost:5173', 'capacitor://localhost', 'null']}\n"
    found = config(tmp_path, text).cors
    assert found is not None
    assert found.allow_origins == (
        "https://a.example",
        "http://localhost:5173",
        "capacitor://localhost",
        "null",
    )
    assert (found.max_age, found.allow_credentials, found.expose_headers) == (600.0, False, ())


def test_any_origin_with_credentials_is_a_mistake(tmp_path: Path) -> None:
    assert said(
        tmp_path, "cors:\n  allow_origins: ['*', 'https://a.example']\n  allow_credentials: true\n"
    ) == [
        "F:2: cors.allow_origins: * allows every origin: remove the others, or *",
        "F:3: cors.allow_credentials: cannot be true with allow_origins: [*]: list the origins that may send cookies",
    ]
