"""URLs of a Redis: what they may hold, and that nothing of them is ever repeated."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.redis_url import RedisPlace, redis_place, redis_url
from tests.support.config_files import said

SECRETS = st.text(min_size=1, max_size=30)


def mistake(text: str) -> str:
    try:
        redis_place(text)
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("redis://r", RedisPlace("r", 6379, "", False, None, None, 0, None)),
        ("redis://r:1/", RedisPlace("r", 1, "", False, None, None, 0, None)),
        ("rediss://[::1]:2/3", RedisPlace("::1", 2, "", True, None, None, 3, None)),
        ("redis://:hunter2@r", RedisPlace("r", 6379, "", False, None, "hunter2", 0, None)),
        ("redis://gw:p%40ss%2F@10.0.0.1/0", RedisPlace("10.0.0.1", 6379, "", False, "gw", "p@ss/", 0, None)),
        ("rediss://r?ca_file=/etc/ca.pem", RedisPlace("r", 6379, "", True, None, None, 0, "/etc/ca.pem")),
        ("unix:/run/redis.sock?db=2", RedisPlace("", 0, "/run/redis.sock", False, None, None, 2, None)),
        ("unix:///run/redis.sock", RedisPlace("", 0, "/run/redis.sock", False, None, None, 0, None)),
    ],
)
def test_its_parts(text: str, place: RedisPlace) -> None:
    assert redis_place(text) == place
    assert redis_url(text) == text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("http://:hunter2@host", "not a URL that begins with redis://"),
        ("redis://:hunter2@", "not redis://[user:password@]host"),
        ("redis://:hun@ter2@host", "not redis://[user:password@]host"),
        ("redis://:hunter2@-host", "its host is not"),
        ("redis://:hunter2@host:0", "its port is not"),
        ("redis://:hunter2@host/99999", "its database is not"),
        ("redis://:hunter2@host/1?db=1", "named twice"),
        ("redis://:hunter2@host?db=1&db=2", "only have db=NUMBER and ca_file=PATH"),
        ("rediss://:hunter2@host?ssl_cert_reqs=none", "only have db=NUMBER and ca_file=PATH"),
        ("redis://:hunter2@host?ca_file=/a", "ca_file needs rediss://"),
        ("rediss://:hunter2@host?ca_file=hunter2", "ca_file is not an absolute path"),
        ("redis://:hunter2@ho\nst", "not a URL that begins with"),
        ("", "not a URL that begins with"),
    ],
)
def test_a_wrong_one_says_what_is_wrong_and_is_not_repeated(text: str, told: str) -> None:
    said = mistake(text)
    assert told in said
    assert "hunter2" not in said


@given(st.text(max_size=60))
def test_any_text_is_a_place_or_a_mistake(text: str) -> None:
    for url in (text, f"redis://{text}", f"unix:/{text}"):
        said = mistake(url)
        assert len(said.splitlines()) <= 1
        if not said:
            place = redis_place(url)
            assert bool(place.host) != bool(place.unix)


@given(SECRETS, SECRETS)
def test_a_password_is_parsed_completely_and_never_shown(user: str, password: str) -> None:
    place = redis_place(f"redis://{quote(user, safe='')}:{quote(password, safe='')}@host")
    assert (place.username, place.password) == (user, password)
    assert repr(place) == "<RedisPlace host:6379/0>"


def test_a_password_stands_in_one_place(tmp_path: Path) -> None:
    (tmp_path / "secret").touch(mode=0o600)
    lines = said(tmp_path, "rate_limit: {redis_url: 'redis://:hunter2@r', redis_password_file: secret}\n")
    told = [line for line in lines if "remove one" in line]
    assert told == [
        "F:1: rate_limit.redis_password_file: redis_url contains a password too: remove one of them"
    ]
