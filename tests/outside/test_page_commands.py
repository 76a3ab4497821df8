"""Every command of every page under docs/: run by a test, or not, for a reason that stands here."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.support import local_cognito
from tests.support.page_commands import DOCS, all_commands, commands_of
from tests.support.programs import ROOT, SCRIPT, run

_HERE = "tests/outside/test_page_commands.py::"
_EXTRA = "installs into the environment that other tests run in"

# (page, pattern of whole commands) → the test that runs them.
RUN_BY: dict[tuple[str, str], str] = {
    ("commands.md", r".*"): _HERE + "test_the_page_about_the_commands",
    ("compose.md", r".*"): "tests/deploy/test_compose.py::test_the_api_is_reached_with_a_token_and_only_so",
    ("configuration.md", r"cognito-gateway check-config .*"): (
        "tests/outside/test_readme.py::test_in_front_of_an_api_of_ones_own"
    ),
    ("browser-sign-in.md", r"cognito-gateway token --flow browser .*"): (
        "tests/aws/test_token_browser.py::test_a_person_without_a_password"
    ),
    ("explain.md", r"cognito-gateway explain .*"): (_HERE + "test_a_token_is_explained_as_the_pages_say"),
    ("image.md", r"docker .*"): "tests/deploy/test_image.py::test_variables_alone_configure_it",
    ("install.md", r"make dist|python3 -m venv .*|/opt/cognito-gateway/bin/pip .*"): (
        "tests/deploy/test_dist.py::test_the_commands_work_without_a_source_tree"
    ),
    ("install.md", r"pipx .*"): ("tests/deploy/test_dist.py::test_pipx_installs_the_wheel_as_the_page_says"),
    (
        "install.md",
        r"docker build .*",
    ): ("tests/deploy/test_image.py::test_it_starts_within_a_second_and_stops_with_0"),
    ("kubernetes.md", r"helm (template|lint) .*"): "tests/helm/test_docs.py::test_a_command_runs",
    ("machine-clients.md", r".*"): "tests/outside/test_guides.py::test_machine_clients",
    ("mcp.md", r".*"): "tests/outside/test_guides.py::test_an_mcp_server_from_a_bare_pool",
    (
        "sessions.md",
        r"openssl rand .*",
    ): _HERE + "test_secrets_are_made_as_the_pages_say",
    (
        "kubernetes.md",
        r"openssl rand .*",
    ): _HERE + "test_secrets_are_made_as_the_pages_say",
    ("start.md", r"cognito-gateway (demo|check-config|serve).*|curl .*|TOKEN=.*"): (
        "tests/outside/test_guides.py::test_five_minutes"
    ),
    ("start.md", r"aws cognito-idp admin-create-user .*"): (
        "tests/outside/test_guides.py::test_the_first_user_of_a_pool_that_setup_made"
    ),
    ("start.md", r"cognito-gateway doctor .*"): "tests/commands/test_doctor.py::test_all_is_well",
    ("troubleshooting.md", r"cognito-gateway explain .*"): (
        _HERE + "test_a_token_is_explained_as_the_pages_say"
    ),
    ("troubleshooting.md", r"cognito-gateway doctor .*"): "tests/commands/test_doctor.py::test_all_is_well",
    ("troubleshooting.md", r"curl .*/readyz.*"): "tests/outside/test_operations.py::test_reload",
}
# (page, pattern of whole commands) → why no test runs them.
NOT_RUN: dict[tuple[str, str], str] = {
    ("install.md", r"make install|\.venv/bin/cognito-gateway version"): (
        "makes the environment that tests run in; CI installs it so before its first test"
    ),
    ("alerts.md", r"kubectl .*|curl .*"): "needs a cluster; the same probe is read in tests/outside",
    (
        "forward-auth.md",
        r"\.venv/bin/pip install .*",
    ): _EXTRA,
    ("redis.md", r"\.venv/bin/pip install .*"): _EXTRA,
    ("install.md", r"install -D .*|systemctl .*|journalctl .*|rm -r .*"): (
        "changes the machine; tests/deploy/test_systemd.py has systemd verify the unit"
    ),
    (
        "kubernetes.md",
        r"helm (upgrade|test) .*|kubectl .*",
    ): "needs a cluster; tests/helm checks the objects",
    (
        "local-cognito.md",
        r".*",
    ): "tests/local_cognito/test_docs.py runs the page's examples",
    ("kubernetes.md", r"make test-kubernetes"): "starts a cluster for minutes; CI runs it",
    (
        "forward-auth.md",
        r"\.venv/bin/python -m pytest .*",
    ): "is a test run itself, which `make test-engines` includes",
    ("private-network.md", r"curl .*"): "asks AWS; tests reach loopback alone",
    ("performance.md", r".*"): "takes minutes and measures; tests/bench runs each part of it for an instant",
    ("reliability.md", r".*"): "takes minutes; tests/faults is what it runs",
}


def fits(row: tuple[str, str], page: str, command: str) -> bool:
    return row[0] == page and re.fullmatch(row[1], command) is not None


@pytest.mark.parametrize(("page", "command"), all_commands())
def test_a_command_is_run_by_a_test_or_listed_with_a_reason(page: str, command: str) -> None:
    rows = [row for row in (*RUN_BY, *NOT_RUN) if fits(row, page, command)]
    assert len(rows) == 1, (
        f"docs/{page}: {command}: say in RUN_BY which test runs it, or in NOT_RUN why none does"
    )


def test_every_row_has_a_command_and_every_test_is_there() -> None:
    shown = all_commands()
    idle = [row for row in (*RUN_BY, *NOT_RUN) if not any(fits(row, *each) for each in shown)]
    assert idle == []
    for name in set(RUN_BY.values()):
        module, _, function = name.partition("::")
        tree = ast.parse((ROOT / module).read_text(encoding="utf-8"))
        defined = {
            node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        }
        assert function in defined, name


# --- those that no other test runs --------------------------------------------------------------------------

SHELL = f'PATH="{SCRIPT.parent}:$PATH"\n'


def test_the_page_about_the_commands(tmp_path: Path) -> None:
    """Word for word and in order, in one folder; AWS is where the AWS SDK's own variables say."""
    (tmp_path / "config").mkdir()
    for folder in (".local/share/bash-completion/completions", ".zfunc", ".config/fish/completions"):
        (tmp_path / folder).mkdir(parents=True)
    commands = commands_of(DOCS / "commands.md")
    with local_cognito.running({"UserPools": []}) as local:
        environ = {
            "HOME": str(tmp_path),
            "AWS_ENDPOINT_URL": local.url,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
        }
        endpoint = {"COGNITO_GATEWAY_COGNITO__ENDPOINT_URL": local.url}
        password = "Wonderland-2024"
        for command in commands:
            if command.startswith(("TOKEN=", "eval", "cognito-gateway token")) and password:
                boto = local_cognito.client(local.url)
                (pool,) = local.state.pools
                boto.admin_create_user(UserPoolId=pool, Username="alice@example.com")
                boto.admin_set_user_password(
                    UserPoolId=pool, Username="alice@example.com", Password=password, Permanent=True
                )
                typed, password = password, ""
            given = f"{typed}\n" if "--username" in command else ""
            named = {} if command.startswith("cognito-gateway setup") else endpoint
            done = run("bash", "-euc", SHELL + command, cwd=tmp_path, stdin=given, environ=environ | named)
            # `doctor` finds that nothing listens where the upstream should.
            expected = 1 if " doctor " in command else 0
            assert done.returncode == expected, f"{command}\n{done.stdout}\n{done.stderr}"


def test_a_token_is_explained_as_the_pages_say(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/gateway.yaml").write_text(
        "cognito: {user_pools: [{id: ap-south-1_TestPool1, client_ids: [1testing23456789]}]}\n"
    )
    (tmp_path / "token.txt").write_text("no.token.really\n")
    for page in ("explain.md", "troubleshooting.md"):
        (command,) = [each for each in commands_of(DOCS / page) if " explain " in each]
        done = run("bash", "-euc", SHELL + command, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (1, "")
        assert done.stdout.splitlines()[-1].startswith("refused with 401 (token_malformed)")


@pytest.mark.parametrize("page", ["sessions.md", "kubernetes.md"])
def test_secrets_are_made_as_the_pages_say(tmp_path: Path, page: str) -> None:
    (command,) = [each for each in commands_of(DOCS / page) if each.startswith("openssl rand")]
    assert run("bash", "-euc", command, cwd=tmp_path).returncode == 0
    name = command.rpartition("> ")[2]
    (tmp_path / name).chmod(0o600)
    path = tmp_path / "gateway.yaml"
    path.write_text(f"sign_in: {{session: {{secret_file: ./{name}}}}}\n")
    done = run(SCRIPT, "check-config", path)
    assert (done.returncode, done.stderr) == (0, "")
