"""The console script from outside: exit codes, where things are printed, no traceback for a user's mistake."""

# ruff: noqa: E501 - the sentences stand whole, as they are shown

from __future__ import annotations

import json
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import pytest

from gateway.cli import main
from gateway.commands.registry import COMMANDS
from gateway.config.generate import ROOT
from gateway.config.schema import json_schema
from tests.support import commands
from tests.support.script import SCRIPT, run


def forked(
    *words: str, cwd: Path, environ: Mapping[str, str] | None = None, given: str | None = None
) -> subprocess.CompletedProcess[str]:
    """One command without the start of an interpreter."""
    return commands.run(*words, cwd=cwd, environ={**os.environ, **(environ or {})}, given=given)


@pytest.mark.parametrize("name", ["gateway.example.yaml", "gateway.minimal.yaml", "gateway.image.yaml"])
def test_the_committed_files_pass(name: str) -> None:
    done = run("check-config", f"config/{name}")
    assert done.returncode == 0
    # Who leaves the IDs of the example in is warned.
    left = [f"config/{name}:{line}: warning: " for line in ((9, 10) if "minimal" in name else ())]
    assert [line[: len(start)] for line, start in zip(done.stderr.splitlines(), left, strict=True)] == left
    assert done.stdout.startswith(f"config/{name}: valid")
    assert len(done.stdout.splitlines()) == 1


def test_an_empty_file_is_valid(tmp_path: Path) -> None:
    (tmp_path / "g.yaml").touch()
    done = forked("check-config", "g.yaml", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "g.yaml: valid (not configured yet, cognito.user_pools is empty)\n"


def test_mistakes_and_warnings_go_to_stderr(tmp_path: Path) -> None:
    (tmp_path / "g.yaml").write_text("routes:\n  - path: /**\n  - path: /a\nlisten:\n  adress: x\n")
    done = forked("check-config", "g.yaml", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        "g.yaml:3: warning: routes[1].path: never matches: routes[0] (g.yaml:2) takes every such request first",
        "g.yaml:5: listen.adress: unknown key: did you mean address?",
    ]


def test_warnings_alone_are_no_failure(tmp_path: Path) -> None:
    (tmp_path / "g.yaml").write_text("routes:\n  - path: /**\n  - path: /a\n")
    done = forked("check-config", "g.yaml", cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines()), len(done.stdout.splitlines())) == (0, 1, 1)
    assert "g.yaml:3: warning: routes[1].path: " in done.stderr


def test_the_file_is_the_argument_then_the_variable_then_the_usual_place(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: 1\n")
    (tmp_path / "b.yaml").write_text("b: 1\n")
    (tmp_path / "config").mkdir()
    (tmp_path / "config/gateway.yaml").write_text("c: 1\n")
    environ = {"COGNITO_GATEWAY_CONFIG": "b.yaml"}
    assert forked("check-config", "a.yaml", cwd=tmp_path, environ=environ).stderr.startswith("a.yaml:1: a: ")
    assert forked("check-config", cwd=tmp_path, environ=environ).stderr.startswith("b.yaml:1: b: ")
    assert forked("check-config", cwd=tmp_path).stderr.startswith("config/gateway.yaml:1: c: ")


def test_without_a_file_the_variables_alone_are_checked(tmp_path: Path) -> None:
    environ = {
        "COGNITO_GATEWAY_COGNITO__USER_POOLS__0__ID": "ap-south-1_TestPool1",
        "COGNITO_GATEWAY_COGNITO__USER_POOLS__0__CLIENT_IDS": "[1testing23456789]",
    }
    done = forked("check-config", cwd=tmp_path, environ=environ)
    assert (done.returncode, done.stdout) == (0, "the environment: valid (user pools: 1, routes: 0)\n")
    unset = forked("check-config", cwd=tmp_path)
    assert (unset.returncode, unset.stderr.count("\n")) == (1, 1)
    assert unset.stderr.startswith("config/gateway.yaml: cannot read the configuration: no such file")
    # A file that is named must be there.
    named = forked("check-config", cwd=tmp_path, environ=environ | {"COGNITO_GATEWAY_CONFIG": "mine.yaml"})
    assert named.stderr.startswith("mine.yaml: cannot read the configuration: no such file")


def test_a_misspelt_variable_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "g.yaml").touch()
    done = forked("check-config", "g.yaml", cwd=tmp_path, environ={"COGNITO_GATEWAY_LISTEN_ADDRESS": ":1"})
    told = "COGNITO_GATEWAY_LISTEN_ADDRESS: sets no key: did you mean COGNITO_GATEWAY_LISTEN__ADDRESS?\n"
    assert (done.returncode, done.stderr) == (1, told)


def test_a_file_may_be_named_with_or_without_the_flag_and_dash_is_standard_input(tmp_path: Path) -> None:
    (tmp_path / "g.yaml").write_text("a: 1\n")
    for words in (["g.yaml"], ["--config", "g.yaml"], ["--config", "g.yaml", "g.yaml"]):
        assert forked("check-config", *words, cwd=tmp_path).stderr.startswith("g.yaml:1: a: ")
    assert forked("serve", "g.yaml", cwd=tmp_path).stderr.startswith("g.yaml:1: a: ")
    both = forked("check-config", "--config", "g.yaml", "h.yaml", cwd=tmp_path)
    assert both.stderr == "cognito-gateway: two configurations: --config g.yaml and h.yaml: name one\n"
    assert forked("check-config", "-", cwd=tmp_path, given="b: 1\n").stderr.startswith("-:1: b: ")
    refused = "the configuration must be a file here: only check-config reads standard input"
    assert forked("serve", "-", cwd=tmp_path, given="").stderr == f"cognito-gateway: {refused}\n"


def test_the_environment_is_checked_with_the_file(tmp_path: Path) -> None:
    (tmp_path / "g.yaml").write_text("upstream:\n  url: ${API}\n")
    environ = {"API": "http://api", "COGNITO_GATEWAY_LISTEN__ADDRESS": "nowhere"}
    done = forked("check-config", "g.yaml", cwd=tmp_path, environ=environ)
    assert done.stderr == (
        "COGNITO_GATEWAY_LISTEN__ADDRESS: listen.address: 'nowhere' has no port: "
        "write host:port, :port or unix:/path\n"
    )


def test_what_the_named_files_hold_is_checked(tmp_path: Path) -> None:
    """Whatever `serve` would stop at, each with its line."""
    for name, text in (("cert.pem", "no"), ("empty", ""), ("short", "abc\n"), ("keys.json", '{"keys": 1}')):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    (tmp_path / "g.yaml").write_text(
        "listen:\n  tls: {certificate_file: cert.pem, key_file: cert.pem}\n"
        "upstream:\n  url: https://api.test\n  tls: {ca_file: cert.pem}\n"
        "cognito:\n  user_pools:\n    - id: us-east-1_Abc\n      client_ids: [1abcdefghi]\n"
        "      client_secret_file: empty\n      jwks_file: keys.json\n"
        "identity_headers:\n  assertion: {header: X-Who, key_file: cert.pem}\n"
        "sign_in:\n  session:\n    secret_file: short\n"
    )
    done = forked("check-config", "g.yaml", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    told = [re.match(r"(g\.yaml:\d+: [a-z_.\[\]0-9]+): .+", line) for line in done.stderr.splitlines()]
    assert [match and match[1] for match in told] == [
        "g.yaml:2: listen.tls.certificate_file",
        "g.yaml:5: upstream.tls.ca_file",
        "g.yaml:10: cognito.user_pools[0].client_secret_file",
        "g.yaml:11: cognito.user_pools[0].jwks_file",
        "g.yaml:13: identity_headers.assertion.key_file",
        "g.yaml:16: sign_in.session.secret_file",
    ]
    served = forked("serve", "--config", "g.yaml", cwd=tmp_path)
    assert (served.returncode, len(served.stderr.splitlines())) == (1, 1)


# As on a machine where the extras were not installed.
WITHOUT_EXTRAS = (
    "import sys\n"
    "for name in ('redis', 'grpc', 'google', 'opentelemetry'): sys.modules[name] = None\n"
    "from gateway.cli import main\n"
    "sys.exit(main(sys.argv[1:]))\n"
)


@pytest.mark.parametrize(
    ("more", "key", "package"),
    [
        (
            "rate_limit: {requests_per_second: 1, redis_url: 'redis://127.0.0.1'}",
            "rate_limit.redis_url",
            "redis",
        ),
        (
            "sign_in: {session: {store: redis, redis_url: 'redis://127.0.0.1'}}",
            "sign_in.session.redis_url",
            "redis",
        ),
        ("ext_authz: {grpc_address: '127.0.0.1:0'}", "ext_authz.grpc_address", "grpcio"),
        ("tracing: {otlp_endpoint: 'http://127.0.0.1:4318'}", "tracing", "opentelemetry-sdk"),
    ],
)
def test_an_extra_that_is_missing_is_found_by_check_config_with_a_command_that_works(
    tmp_path: Path, more: str, key: str, package: str
) -> None:
    (tmp_path / "g.yaml").write_text(
        f"listen: {{address: '127.0.0.1:0'}}\nmetrics: {{address: '127.0.0.1:0'}}\n{more}\n"
    )
    for command in ("check-config", "serve"):
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_EXTRAS, command, tmp_path / "g.yaml"],
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert (done.returncode, done.stdout) == (1, "")
        (line,) = done.stderr.splitlines()
        assert command == "serve" or line.startswith(f"{tmp_path}/g.yaml:3: {key}: ")
        interpreter, *words = shlex.split(line.partition("is not installed: ")[2])
        assert Path(interpreter) == Path(sys.executable)
        assert words[:3] == ["-m", "pip", "install"]
        # The packages themselves: nobody has published the gateway's own name.
        assert any(word.startswith(package) for word in words[3:])
        assert "cognito-gateway" not in " ".join(words)


@pytest.mark.parametrize("command", ["serve", "check-config"])
def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path, command: str) -> None:
    done = forked(command, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "config/gateway.yaml: cannot read the configuration: no such file or directory: name the file with --config, or have `cognito-gateway setup --write config/gateway.yaml` write one\n"
    )


def test_serve_refuses_what_check_config_refuses(tmp_path: Path) -> None:
    (tmp_path / "g.yaml").write_text("log:\n  level: loud\n")
    done = forked("serve", "--config", "g.yaml", "--workers", "3", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "g.yaml:2: log.level: 'loud' is not one of debug, info, warning, error",
    ]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_without_the_parser_in_c_serve_says_so_in_one_sentence(tmp_path: Path, workers: str) -> None:
    (tmp_path / "g.yaml").write_text("listen: {address: '127.0.0.1:0'}\nmetrics: {address: '127.0.0.1:0'}\n")
    environ = {"AIOHTTP_NO_EXTENSIONS": "1"}
    done = run("serve", "--config", "g.yaml", "--workers", workers, cwd=tmp_path, environ=environ)
    assert done.returncode == 1
    (sentence,) = done.stderr.splitlines()
    assert "aiohttp's parser in C is missing: install a wheel" in sentence


def test_config_schema_prints_the_committed_file() -> None:
    done = run("config-schema")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (ROOT / "config/gateway.schema.json").read_text(encoding="utf-8")
    assert json.loads(done.stdout) == json_schema()


def test_version_names_the_three(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed == [
        f"cognito-gateway {version('cognito-gateway')}",
        f"Python {platform.python_version()}",
        f"aiohttp {version('aiohttp')}",
    ]


def test_light_commands_load_nothing_heavy() -> None:
    code = (
        "import sys; from gateway.cli import main; main(['version']); main(['check-config', sys.argv[1]]); "
        "print(sorted({'aiohttp', 'boto3', 'jwt', 'difflib', 'jsonschema', 'prometheus_client'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, ROOT / "config/gateway.minimal.yaml"],
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_each_command_is_whole_in_one_file() -> None:
    """And no other file lies there: a command that the registry forgets would be missed by nobody else."""
    files = {path.stem for path in (ROOT / "gateway/commands").glob("*.py")} - {"__init__", "registry"}
    assert files == {name.replace("-", "_") for name in COMMANDS}


def test_the_help_of_every_command_loads_no_client_of_anything() -> None:
    """Completion asks for the flags of all of them."""
    code = (
        "import sys; from gateway.cli import main; main(['completion', 'bash']); "
        "print(sorted({'aiohttp', 'boto3', 'botocore', 'jwt', 'local_cognito', 'yaml'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=200, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_list_of_commands_imports_none_of_them() -> None:
    code = (
        "import sys; from gateway.cli import main; main(['--help']); "
        "print(sorted(name for name in sys.modules if name.startswith('gateway.commands.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=200, check=True
    )
    loaded = done.stdout.splitlines()[-1]
    assert not [name for name in COMMANDS if f"gateway.commands.{name.replace('-', '_')}'" in loaded], loaded


@pytest.mark.parametrize("command", COMMANDS)
def test_help_ends_with_an_example_that_parses(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    shown = capsys.readouterr().out.rstrip().splitlines()
    assert shown[-2] == "example:"
    assert shown[-1].startswith(f"  cognito-gateway {command}")
    example = shown[-1].split()[1:]
    redirected = [at for at, word in enumerate(example) if word in {"<", ">"}]
    example = example[: redirected[0]] if redirected else example
    # The same words with a wrong flag behind them: it is the flag that is refused.
    assert main([*example, "--nonsense"]) == 2
    assert "unrecognized arguments: --nonsense" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "commands:"),
        (["nonsense"], "unknown command: nonsense\n"),
        (["chek-config", "x"], "unknown command: chek-config (did you mean check-config?)\n"),
        (["help", "sreve"], "unknown command: sreve (did you mean serve?)\n"),
        (["--config", "x"], "unknown command: x"),
        (["--nonsense"], "unrecognized arguments: --nonsense\n"),
        (["token", "--pasword-file", "x"], "--pasword-file (did you mean --password-file?)\n"),
        (["token", "--jsn"], "(did you mean --json?)\n"),
        (["completion", "tcsh"], "invalid choice: 'tcsh'"),
        (["serve", "--conf", "x"], "unrecognized arguments: --conf (did you mean --config?)\n"),
        (["serve", "--workers", "0"], "'0' is neither auto nor a whole number from 1 to 256"),
        (["demo", "--port", "80x"], "'80x' is not a port from 0 to 65535"),
        (["local-cognito", "--listen", "9229"], "'9229' has no port"),
        (["token", "--id", "--json"], "not allowed with argument"),
        (["token", "--flow", "magic"], "invalid choice: 'magic'"),
        (["token", "--password", "hunter2"], "unrecognized arguments"),
        (["check-config", "a", "b"], "unrecognized arguments: b"),
    ],
)
def test_wrong_usage_is_2_with_the_usage(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("usage: cognito-gateway")
    assert told in printed.err


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    with subprocess.Popen(
        [SCRIPT, "config-schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=200) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's full device")
def test_an_output_that_is_full_is_one_sentence() -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [SCRIPT, "config-schema"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=200,
            check=False,
        )
    assert done.returncode == 1
    assert (
        done.stderr == "cognito-gateway: no space left on device: free some space, or choose another path\n"
    )


def without(streams: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, started with these streams closed: `1>&-`."""
    return subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" "$@" {streams}', SCRIPT, *arguments],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def test_a_closed_output_is_one_sentence() -> None:
    told = "cognito-gateway: standard output is closed: redirect it to a file or /dev/null\n"
    for command in ("version", "config-schema"):
        done = without(">&-", command)
        assert (done.returncode, done.stderr) == (1, told)
    done = without(">&-", "--help")
    assert (done.returncode, done.stderr) == (0, "")


def test_errors_are_not_printed_where_a_token_is_expected() -> None:
    pool = ("--username", "alice", "--user-pool-id", "us-east-1_LocalDemo", "--client-id", "1demo2client")
    done = without("2>&-", "token", *pool)
    assert (done.returncode, done.stdout) == (1, "")
    assert without("2>&-", "nonsense").stdout == ""
    done = without("<&-", "token", *pool)
    assert (done.returncode, done.stderr) == (1, "cognito-gateway: token: stdin has no password\n")


def test_an_interrupt_is_quiet(tmp_path: Path) -> None:
    """The configuration is a pipe that nobody writes to, so the command is surely waiting when SIGINT comes."""
    os.mkfifo(tmp_path / "pipe")
    command: list[str | Path] = [SCRIPT, "check-config", tmp_path / "pipe"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    # Opening the other end returns once the command has opened its own.
    with (tmp_path / "pipe").open("w", encoding="utf-8"):
        process.send_signal(signal.SIGINT)
        printed = process.communicate(timeout=200)
    assert (process.returncode, printed) == (130, ("", ""))


def test_python_m_gateway_is_the_same_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "version"], capture_output=True, text=True, timeout=200, check=True
    )
    assert done.stdout == run("version").stdout


def test_help_explains_the_program_or_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    for words, same in ((["help"], ["--help"]), (["help", "serve"], ["serve", "--help"])):
        assert main(words) == 0
        shown = capsys.readouterr().out
        assert main(same) == 0
        assert capsys.readouterr().out == shown
    assert main(["-V"]) == 0
    shown = capsys.readouterr().out
    assert main(["version"]) == 0
    assert capsys.readouterr().out == shown


def test_usage_of_a_wrong_flag_is_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--jsno"]) == 2
    assert capsys.readouterr().err.startswith("usage: cognito-gateway doctor ")


def completed(words: str) -> list[str]:
    """What bash offers for the last of these words, with the script that `completion bash` prints."""
    script = (
        f'source <("{SCRIPT}" completion bash); COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); '
        '$(complete -p cognito-gateway | sed -n "s/.*-F \\([^ ]*\\).*/\\1/p"); printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=200, check=True, cwd=ROOT
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completes_commands_flags_choices_and_files() -> None:
    assert completed("cognito-gateway ser") == ["serve"]
    assert completed("cognito-gateway serve --w") == ["--workers"]
    assert completed("cognito-gateway token --flow s") == ["srp"]
    assert completed("cognito-gateway serve --config config/gateway.min") == ["config/gateway.minimal.yaml"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_accept_their_script(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = tmp_path / "completion"
    script.write_text(run("completion", shell).stdout)
    done = subprocess.run([shell, "-n", script], capture_output=True, text=True, timeout=200, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "serve" in script.read_text()


def test_the_help_names_the_documentation() -> None:
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    assert run("--help").stdout.splitlines()[-1] == f"Documentation: {urls['Documentation']}"
