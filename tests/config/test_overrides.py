"""The environment and flags over the file."""

# ruff: noqa: E501 - the sentences stand whole, as they are shown

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config.environment import single_values, variable
from tests.support.config_files import POOL, config, said


def test_a_flag_overrides_the_environment_which_overrides_the_file(tmp_path: Path) -> None:
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
    assert found.cognito.user_pools[0].issuers == ("http://127.0.0.1:9229/ap-south-1_TestPool1",)
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
        "COGNITO_GATEWAY_LISTEN__ADDRESS: listen.address: must not be empty: remove the line for the default"
    ]


def test_mistakes_name_the_variable_or_the_flag_and_stand_behind_the_file(tmp_path: Path) -> None:
    environ = {
        "COGNITO_GATEWAY_LISTEN__ADRESS": ":1",
        "COGNITO_GATEWAY_ROUTES": "[{path: x",
        "COGNITO_GATEWAY_LISTEN__TRUSTED_PROXIES": "10.0.0.0/8",
        "COGNITO_GATEWAY_COGNITO__USER_POOL__1__ID": "ap-south-1_TestPool1",
        "COGNITO_GATEWAY_COGNITO__USER_POOLS__1__ID": "ap-south-1_TestPool1",
        "COGNITO_GATEWAY_LISTEN_ADDRESS": ":1",
        "COGNITO_GATEWAY_UPSTREAM_PORT": "8080",
        "COGNITO_GATEWAY_listen__address": ":1",
        "COGNITO_GATEWAY_METRICS__ADDRESS": "9090",
    }
    assert said(tmp_path, "log:\n  level: x\n", environ, {"listen.workers": "many"}) == [
        "F:2: log.level: 'x' is not one of debug, info, warning, error",
        "--workers: listen.workers: 'many' is neither auto nor a whole number from 1 to 256",
        "COGNITO_GATEWAY_COGNITO__USER_POOLS__1__ID: item 1 without item 0: number items from 0 without a gap",
        "COGNITO_GATEWAY_COGNITO__USER_POOL__1__ID: sets no key: did you mean COGNITO_GATEWAY_COGNITO__USER_POOLS__1__ID?",
        "COGNITO_GATEWAY_LISTEN_ADDRESS: sets no key: did you mean COGNITO_GATEWAY_LISTEN__ADDRESS?",
        "COGNITO_GATEWAY_LISTEN__ADRESS: sets no key: did you mean COGNITO_GATEWAY_LISTEN__ADDRESS?",
        "COGNITO_GATEWAY_LISTEN__TRUSTED_PROXIES: listen.trusted_proxies: expected a list, not a single value: write [10.0.0.0/8]",
        "COGNITO_GATEWAY_METRICS__ADDRESS: metrics.address: '9090' has no port: write host:port, :port or unix:/path",
        "COGNITO_GATEWAY_ROUTES: not valid YAML: expected ',' or '}', but got '<stream end>'",
        "COGNITO_GATEWAY_UPSTREAM_PORT: sets no key: did you mean COGNITO_GATEWAY_UPSTREAM__URL?",
        "COGNITO_GATEWAY_listen__address: sets no key: did you mean COGNITO_GATEWAY_LISTEN__ADDRESS?",
    ]


def test_service_variables_of_kubernetes_are_ignored(tmp_path: Path) -> None:
    environ = {
        "COGNITO_GATEWAY_CONFIG": "x",
        "COGNITO_GATEWAY_PORT": "tcp://10.0.0.1:80",
        "COGNITO_GATEWAY_SERVICE_HOST": "10.0.0.1",
        "COGNITO_GATEWAY_PORT_80_TCP_ADDR": "10.0.0.1",
        "COGNITO_GATEWAY_SERVICE_PORT_HTTP": "80",
        "COGNITO_GATEWAY_METRICS_SERVICE_HOST": "10.0.0.2",
        "COGNITO_GATEWAY_METRICS_PORT": "tcp://10.0.0.2:9090",
        "COGNITO_GATEWAY_METRICS_PORT_9090_TCP_PROTO": "tcp",
    }
    assert said(tmp_path, "", environ) == []


def test_every_single_value_has_a_variable_of_its_own() -> None:
    names = [variable(path) for path in single_values()]
    assert len(set(names)) == len(names) > 40
    assert "COGNITO_GATEWAY_UPSTREAM__TLS__SERVER_NAME" in names
    assert all(name == name.upper() and "__" in name for name in names)


def test_lists_are_set_by_index(tmp_path: Path) -> None:
    environ = {
        "COGNITO_GATEWAY_COGNITO__USER_POOLS__0__ID": "ap-south-1_TestPool1",
        "COGNITO_GATEWAY_COGNITO__USER_POOLS__0__CLIENT_IDS__0": "1testing23456789",
        "COGNITO_GATEWAY_COGNITO__USER_POOLS__0__CLIENT_IDS__1": "2example23456789",
        "COGNITO_GATEWAY_ROUTES__0__PATH": "/status",
        "COGNITO_GATEWAY_ROUTES__0__AUTH": "none",
        **{f"COGNITO_GATEWAY_ROUTES__{n}__PATH": f"/{n}/**" for n in range(1, 12)},
    }
    found = config(tmp_path, "", environ)
    assert [pool.client_ids for pool in found.cognito.user_pools] == [
        ("1testing23456789", "2example23456789")
    ]
    assert [str(route.path) for route in found.routes] == ["/status", *(f"/{n}/**" for n in range(1, 12))]


def test_values_with_several_parts_may_be_yaml_text(tmp_path: Path) -> None:
    environ = {
        "COGNITO_GATEWAY_ROUTES": "[{path: /status, auth: none}, {path: /admin/**, groups: [admins]}]",
        "COGNITO_GATEWAY_ROUTES__1__GROUPS__1": "owners",
        "COGNITO_GATEWAY_IDENTITY_HEADERS__CLAIMS": "{X-Tenant: custom:tenant}",
        "COGNITO_GATEWAY_LISTEN__TRUSTED_PROXIES": "[10.0.0.0/8]",
        "COGNITO_GATEWAY_CORS": "allow_origins: [https://app.example]\n",
    }
    found = config(tmp_path, POOL + "routes:\n  - path: /gone\n", environ)
    assert [(route.path, route.auth, route.groups) for route in found.routes] == [
        ("/status", "none", ()),
        ("/admin/**", "required", ("admins", "owners")),
    ]
    assert found.cors is not None


def test_an_item_of_the_files_list_can_be_changed_and_one_added(tmp_path: Path) -> None:
    text = POOL + "routes:\n  - path: /a\n    auth: none\n"
    environ = {"COGNITO_GATEWAY_ROUTES__0__AUTH": "optional", "COGNITO_GATEWAY_ROUTES__1__PATH": "/b"}
    found = config(tmp_path, text, environ)
    assert [(route.path, route.auth) for route in found.routes] == [("/a", "optional"), ("/b", "required")]


def test_a_reference_in_yaml_text_of_a_variable_is_literal(tmp_path: Path) -> None:
    environ = {"COGNITO_GATEWAY_ROUTES": '[{path: "/${HOME}"}]', "HOME": "x"}
    assert [route.path for route in config(tmp_path, POOL, environ).routes] == ["/${HOME}"]
