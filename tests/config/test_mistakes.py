"""Wrong files and what is said about them, word for word: file, line, key, what is wrong."""

# ruff: noqa: E501 - the sentences stand whole, as they are shown

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config.load import examine
from tests.support.config_files import POOL, said
from tests.support.mistakes import WRONG


@pytest.mark.parametrize("name", WRONG)
def test_each_mistake_in_a_file_has_its_message(tmp_path: Path, name: str) -> None:
    text, lines = WRONG[name]
    assert said(tmp_path, text) == lines


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "# nothing but a comment\n",
        "---\n",
        "null\n",
        "{}\n",
        "listen:\nupstream: {}\ncognito:\n  user_pools:\n  revocation:\nroutes:\nidentity_headers:\n  claims:\n",
        "\ufefflog:\r\n  level: info\r\n",
        "log: &log\n  level: info\n",
        "listen:\n  address: 127.0.0.1:0\nmetrics:\n  address: 127.0.0.1:0\n",
        "listen:\n  address: :8080\nupstream:\n  url: http://api:8080\n",
        "identity_headers:\n  user: null\n  email: ~\n  groups:\n",
        POOL + "routes:\n  - path: /a b/é;x\n    methods: [GET, PROPFIND]\n",
    ],
)
def test_right_files_about_which_nothing_is_said(tmp_path: Path, text: str) -> None:
    assert said(tmp_path, text) == []


def test_a_file_that_is_not_utf_8(tmp_path: Path) -> None:
    assert said(tmp_path, b"log:\n  level: \xff\n") == ["F:2: not UTF-8: save the file as UTF-8"]


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    assert said(tmp_path, b"#" * (1024 * 1024 + 1)) == ["F:1: the file is larger than 1024 KiB"]


@pytest.mark.timeout(20)
def test_a_file_without_an_end() -> None:
    config, report = examine(Path("/dev/zero"), {})
    assert config is None
    assert report.lines == ("/dev/zero:1: the file is larger than 1024 KiB",)


@pytest.mark.timeout(20)
def test_a_billion_laughs_and_deep_nesting_end_early(tmp_path: Path) -> None:
    laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 10)
    )
    assert any("too many nodes, for a configuration" in line for line in said(tmp_path, laughs))
    assert said(tmp_path, "[" * 5000)[-1] == "F:1: nested too deeply, or too many nodes, for a configuration"


def test_a_mistake_is_one_line_whatever_the_value(tmp_path: Path) -> None:
    lines = said(tmp_path, 'log:\n  level: "a\\nF:1: forged\\u2028"\n')
    assert lines == ["F:2: log.level: 'a\\nF:1: forged\\u2028' is not one of debug, info, warning, error"]


def test_an_unknown_key_is_one_line_as_well(tmp_path: Path) -> None:
    lines = said(tmp_path, '"a\\nb": 1\n')
    assert len(lines) == 1
    assert len(lines[0].splitlines()) == 1


def test_workers_that_share_cookie_sessions_are_warned_about(tmp_path: Path) -> None:
    warned = [
        "F:2: warning: listen.workers: workers renew a cookie session independently: if the app client rotates refresh tokens, set its RetryGracePeriodSeconds to 10 or more, or use store: redis; `doctor` checks the client"
    ]
    for workers, more, told in (
        ("2", "", warned),
        ("auto", "", warned),
        ("1", "", []),
        ("2", "sign_in: {enabled: false}\n", []),
        ("2", "sign_in: {session: {store: redis, redis_url: 'redis://r'}}\n", []),
    ):
        assert said(tmp_path, f"listen:\n  workers: {workers}\n{POOL}{more}") == told
    assert said(tmp_path, "listen:\n  workers: 2\n") == []
