"""The environment and flags over the file."""

# ruff: noqa: E501 - the sentences stand whole, as they are shown

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config.overrides import scalar_paths, variable

from .support import POOL, config, said


def test_a_flag_beats_the_environment_which_beats_the_file(tmp_path: Path) -> None:
    text = "listen:\n  address: :1\nlog:\n  level: error\nmetrics:\n  path: /m\n"
    environ = {"COGNITO_GATEWAY_LISTEN__ADDRESS": ":2", "COGNITO_GATEWAY_LOG__LEVEL": "debug"}
    found = config(tmp_path, text, environ, listen__address=":3")
    assert (found.listen.address.port, found.log.level, found.metrics.path) == (3, "debug", "/m")


@pytest.mark.parametrize(
    "text", ["", "log:\n", "log: {}\n", "log: null\n", "# nothing\n", "metrics:\n  path: /m\n"]
)
def test_sections_that_the_file_leaves_out_are_made(tmp_path: Path, text: str) -> None:
    assert config(tmp_path, text, {"COGNITO_GATEWAY_LOG__LEVEL": "debug"}).log.level == "debug"


def test_deeper_keys(tmp_path: Path) -> None:
    environ = {"COGNITO_GATEWAY_COGNITO__ENDPOINT_URL": "http://127.0.0.1:9229"}
    found = config(tmp_path, POOL, environ)
    assert found.cognito.user_pools[0].issuers == ("http://127.0.0.1:9229/ap-south-1_AbCdEfGhI",)
    lines = said(tmp_path, "", {"COGNITO_GATEWAY_SIGN_IN__SESSION__MAX_AGE": "0s"})
    assert lines == [
        "COGNITO_GATEWAY_SIGN_IN__SESSION__MAX_AGE: sign_in.session.max_age: '0s' is outside 1m to 87600h"
    ]


def test_a_value_is_taken_literally_and_replaces_a_wrong_one(tmp_path: Path) -> None:
    environ = {"COGNITO_GATEWAY_LOG__LEVEL": "${LEVEL}", "LEVEL": "debug"}
    lines = said(tmp_path, "log:\n  level: ${UNSET}\n", environ)
    assert lines == [
        "COGNITO_GATEWAY_LOG__LEVEL: log.level: '${LEVEL}' is not one of debug, info, warning, error"
    ]


def test_null_and_empty_mean_null_where_null_may_stand(tmp_path: Path) -> None:
    name = "COGNITO_GATEWAY_LISTEN__PUBLIC_URL"
    text = "listen:\n  public_url: https://a.example\n"
    assert config(tmp_path, text).listen.public_url == "https://a.example"
    assert config(tmp_path, text, {name: ""}).listen.public_url is None
    assert config(tmp_path, text, {name: "null"}).listen.public_url is None
    assert said(tmp_path, "", {"COGNITO_GATEWAY_LISTEN__ADDRESS": ""}) == [
        "COGNITO_GATEWAY_LISTEN__ADDRESS: listen.address: must not be empty: leave the line out for the default"
    ]


def test_mistakes_name_the_variable_or_the_flag_and_stand_behind_the_file(tmp_path: Path) -> None:
    environ = {
        "COGNITO_GATEWAY_LISTEN__ADRESS": ":1",
        "COGNITO_GATEWAY_ROUTES": "",
        "COGNITO_GATEWAY_COGNITO__USER_POOLS": "[]",
        "COGNITO_GATEWAY_LISTEN__TRUSTED_PROXIES": "10.0.0.0/8",
        "COGNITO_GATEWAY_listen__address": ":1",
        "COGNITO_GATEWAY_METRICS__ADDRESS": "9090",
    }
    assert said(tmp_path, "log:\n  level: x\n", environ, {"listen.workers": "many"}) == [
        "F:2: log.level: 'x' is not one of debug, info, warning, error",
        "--workers: listen.workers: 'many' is neither auto nor a whole number from 1 to 256",
        "COGNITO_GATEWAY_COGNITO__USER_POOLS: cognito.user_pools: only the file can set this: "
        "it is not a single value",
        "COGNITO_GATEWAY_LISTEN__ADRESS: sets no key: did you mean COGNITO_GATEWAY_LISTEN__ADDRESS?",
        "COGNITO_GATEWAY_LISTEN__TRUSTED_PROXIES: listen.trusted_proxies: only the file can set this: "
        "it is not a single value",
        "COGNITO_GATEWAY_METRICS__ADDRESS: metrics.address: '9090' has no port: "
        "write host:port, :port or unix:/path",
        "COGNITO_GATEWAY_listen__address: sets no key: did you mean COGNITO_GATEWAY_LISTEN__ADDRESS?",
    ]


def test_what_kubernetes_sets_for_a_service_of_our_name_is_left_alone(tmp_path: Path) -> None:
    environ = {
        "COGNITO_GATEWAY_CONFIG": "x",
        "COGNITO_GATEWAY_PORT": "tcp://10.0.0.1:80",
        "COGNITO_GATEWAY_SERVICE_HOST": "10.0.0.1",
        "COGNITO_GATEWAY_PORT_80_TCP_ADDR": "10.0.0.1",
    }
    assert said(tmp_path, "", environ) == []


def test_every_single_value_has_a_variable_of_its_own() -> None:
    names = [variable(path) for path in scalar_paths()]
    assert len(set(names)) == len(names) > 40
    assert "COGNITO_GATEWAY_UPSTREAM__TLS__SERVER_NAME" in names
    assert all(name == name.upper() and "__" in name for name in names)
