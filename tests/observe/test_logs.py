"""The log: what a line looks like, and what never gets into one."""

import asyncio
import io
import json
import logging
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.model import Log
from gateway.observe.lines import fit, json_record, quote, text_record
from gateway.observe.logs import Logger, configure, loggable_path
from gateway.observe.sink import ATOMIC_WRITE
from tests.support.log_fields import ACCESS_FIELDS
from tests.support.running import running
from tests.support.wire import Client, get, once

REQUEST: dict[str, Any] = {
    "request_id": "r-1",
    "client": "192.0.2.1",
    "method": "GET",
    "path": "/api/v1/config?code=SECRET",
    "status": 200,
    "duration_ms": 1.23456,
    "request_bytes": 0,
    "response_bytes": 700,
    "upstream_ms": 0.98765,
    "subject": "0f8fad5b-d9cb-469f-a165-70867728950e",
    "pool": "ap-south-1_TestPool1",
    "decision": "allowed",
    "reason": None,
}

# Surrogates included, and often.
ANY_TEXT = st.text(st.characters(exclude_categories=[]) | st.characters(categories=["Cs", "Cc", "Po"]))


def written(
    use: Callable[[Logger], object],
    *,
    form: Literal["json", "text"] = "json",
    level: Literal["debug", "info", "warning", "error"] = "info",
    access: bool = True,
) -> list[str]:
    stream = io.BytesIO()
    log = configure(Log(form, level, access), stream)
    try:
        use(log)
    finally:
        log.close(30)
    text = stream.getvalue().decode("ascii")
    assert text == "" or text.endswith("\n")
    return text.split("\n")[:-1]


def test_an_access_line_has_the_promised_fields_in_their_order() -> None:
    (line,) = written(lambda log: log.access(**REQUEST))
    record = json.loads(line)
    assert list(record) == ACCESS_FIELDS
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record["timestamp"])
    assert record | {"timestamp": ""} == REQUEST | {
        "timestamp": "",
        "level": "info",
        "event": "request",
        "path": "/api/v1/config",
        "duration_ms": 1.235,
        "upstream_ms": 0.988,
    }


def test_fields_without_a_value_are_null() -> None:
    unknown = {"upstream_ms": None, "subject": None, "pool": None, "reason": "no_credentials"}
    (line,) = written(lambda log: log.access(**REQUEST | unknown))
    assert unknown.items() <= json.loads(line).items()


@given(text=ANY_TEXT)
def test_both_ways_to_render_an_access_line_agree(text: str) -> None:
    request = REQUEST | {"path": f"/{text}", "client": text, "reason": text}
    (fast,) = written(lambda log: log.access(**request))
    general = json_record(
        json.loads(fast) | {"client": text, "reason": text, "path": f"/{text}".partition("?")[0]}
    )
    assert fast == general


@given(text=ANY_TEXT)
def test_any_text_is_one_line_of_valid_json(text: str) -> None:
    (line,) = written(lambda log: log.event("probe", value=text, deep={"list": [text, {text}]}))
    record = json.loads(line)
    record["value"].encode("utf-8")  # no lone surrogate left, not even an escaped one
    if not re.search("[\ud800-\udfff]", text):
        assert record["value"] == text
        assert record["deep"] == {"list": [text, [text]]}


@given(text=ANY_TEXT)
def test_any_text_is_one_printable_line_in_text_form(text: str) -> None:
    (line,) = written(lambda log: log.event("probe", value=text, last=1), form="text")
    assert re.fullmatch(r"\S{24} INFO    probe value=[ -~]+ last=1", line)


def test_a_client_cannot_forge_a_line_or_a_field() -> None:
    forged = 'x" subject=admin\n2026-01-01T00:00:00.000Z INFO    request subject="admin'
    (line,) = written(lambda log: log.access(**REQUEST | {"path": "/" + forged}), form="text")
    assert r"path=\"/x\" subject=admin\n2026".replace(r"path=\"", 'path="') in line
    (line,) = written(lambda log: log.access(**REQUEST | {"path": '/x","subject":"admin'}))
    assert json.loads(line)["subject"] == REQUEST["subject"]


def test_the_text_form_is_for_people() -> None:
    (line,) = written(lambda log: log.access(**REQUEST), form="text")
    assert line[24:] == (
        " INFO    request request_id=r-1 client=192.0.2.1 method=GET path=/api/v1/config status=200"
        " duration_ms=1.235 request_bytes=0 response_bytes=700 upstream_ms=0.988"
        " subject=0f8fad5b-d9cb-469f-a165-70867728950e pool=ap-south-1_TestPool1 decision=allowed"
    )


@pytest.mark.parametrize(
    ("target", "logged"),
    [
        ("/a/b?access_token=SECRET", "/a/b"),
        ("/a?b?c", "/a"),
        ("/", "/"),
        ("*", "*"),
        ("http://user:SECRET@host/a", "-"),
        ("host:443", "-"),
        ("", "-"),
    ],
)
def test_queries_and_hosts_of_a_target_are_not_logged(target: str, logged: str) -> None:
    assert loggable_path(target) == logged


@pytest.mark.parametrize("target", ["/invite/{}", "/invite/{}/", "/a/x={}&y", "/{}?z", "/a%2F{}"])
def test_a_token_in_a_path_is_left_out(target: str) -> None:
    token = ".".join(("eyJraWQiOiJhY2Nlc3Mta2V5In0", "eyJzdWIiOiJhbGljZSJ9", "c2lnbmF0dXJl"))
    for spelling in (token, token.replace(".", "%2E"), token.replace("-", "%2d") + "%3D"):
        logged = loggable_path(target.format(spelling))
        assert logged.startswith("/")
        assert "[redacted]" in logged
        assert not [part for part in token.split(".") if part in logged]
    assert loggable_path("/heyJude/eyJohn/ey.J") == "/heyJude/eyJohn/ey.J"


def test_lines_below_the_level_are_not_written() -> None:
    def use(log: Logger) -> None:
        for level in ("debug", "info", "warning", "error"):
            log.event("probe", level)
        log.access(**REQUEST)

    lines = written(use, level="warning")
    assert [json.loads(line)["level"] for line in lines] == ["warning", "error"]


def test_access_lines_can_be_turned_off_alone() -> None:
    def use(log: Logger) -> None:
        assert not log.access_enabled
        log.access(**REQUEST)
        log.event("auth_failure")

    assert [json.loads(line)["event"] for line in written(use, access=False)] == ["auth_failure"]


class Password:
    def __repr__(self) -> str:
        return "SECRET"


def test_objects_show_their_type_only() -> None:
    (line,) = written(lambda log: log.event("probe", a=Password(), b=b"SECRET", c=[Password()]))
    assert "SECRET" not in line
    assert json.loads(line)["a"] == "<Password>"


def test_numbers_json_does_not_know_are_null() -> None:
    (line,) = written(lambda log: log.event("probe", a=float("nan"), b=float("-inf"), c=1.5, d=True, e=None))
    record = json.loads(line)
    assert [record[key] for key in "abcde"] == [None, None, 1.5, True, None]


@pytest.mark.parametrize("render", [json_record, text_record])
@pytest.mark.parametrize(
    "value", ["x" * 100_000, "\U0001f600" * 5_000, ["y" * 3_000] * 3], ids=["long", "wide", "list"]
)
def test_a_long_value_is_cut_in_its_middle(render: Any, value: object) -> None:
    record = {"timestamp": "T", "level": "info", "event": "probe", "value": value, "kept": "z" * 10}
    line = fit(record, render)
    assert len(line) <= ATOMIC_WRITE
    assert b"probe" in line
    assert b"zzzzzzzzzz" in line
    assert b"\\u2026" in line


def test_a_long_access_line_keeps_its_fields() -> None:
    (line,) = written(lambda log: log.access(**REQUEST | {"path": "/" + "é" * 30_000}))
    assert len(line) < ATOMIC_WRITE
    assert list(json.loads(line)) == ACCESS_FIELDS


def test_a_record_of_too_many_fields_is_still_one_line() -> None:
    fields: dict[str, Any] = {f"field_{n}": n for n in range(1000)}
    (line,) = written(lambda log: log.event("probe", **fields))
    assert json.loads(line)["fields"] == "…"


def test_milliseconds_stay_within_their_second() -> None:
    times = iter([0.0, 0.9996, 1.0, 1700000000.0629, 1700000000.9999])
    stream = io.BytesIO()
    log = Logger(Log("json", "info", True), stream, clock=lambda: next(times))
    for _ in range(5):
        log.event("probe")
    log.close(30)
    assert [json.loads(line)["timestamp"] for line in stream.getvalue().splitlines()] == [
        "1970-01-01T00:00:00.000Z",
        "1970-01-01T00:00:00.999Z",
        "1970-01-01T00:00:01.000Z",
        "2023-11-14T22:13:20.062Z",
        "2023-11-14T22:13:20.999Z",
    ]


def test_quote_shows_lone_surrogates() -> None:
    assert json.loads(quote("a\udc80é")) == "a\\udc80é"


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Records written so far; reading them ends the log."""
    stream = io.BytesIO()
    log = configure(Log("json", "info", True), stream)

    def read() -> list[dict[str, Any]]:
        log.close(30)
        return [json.loads(line) for line in stream.getvalue().splitlines()]

    yield read
    log.close(30)


def test_pythons_logging_is_forwarded_to_the_log(lines: Callable[[], list[dict[str, Any]]]) -> None:
    logging.getLogger("asyncio").info("not this")
    logging.getLogger("asyncio").warning("slow %s", "callback")
    logging.getLogger("aiohttp.server").critical("bad")
    first, second = lines()
    assert first | {"timestamp": ""} == {
        "timestamp": "",
        "level": "warning",
        "event": "log",
        "logger": "asyncio",
        "message": "slow callback",
    }
    assert (second["level"], second["logger"]) == ("error", "aiohttp.server")


def test_an_exception_is_one_field_with_its_causes(lines: Callable[[], list[dict[str, Any]]]) -> None:
    def fail() -> None:
        try:
            dict[str, str]()["missing"]
        except KeyError as exc:
            raise RuntimeError("outer") from exc

    try:
        fail()
    except RuntimeError:
        logging.getLogger("x").exception("it failed")
    (record,) = lines()
    assert re.search(r"KeyError: 'missing'\n(.|\n)*in fail\n(.|\n)*RuntimeError: outer$", record["exception"])


async def test_reports_of_asyncio_are_logged(lines: Callable[[], list[dict[str, Any]]]) -> None:
    asyncio.get_running_loop().call_exception_handler({"message": "lost", "exception": OSError("gone")})
    (record,) = lines()
    assert record["message"].startswith("lost")
    assert record["exception"] == "OSError: gone"


def test_a_closed_log_detaches_from_pythons_logging() -> None:
    before = list(logging.getLogger().handlers)
    written(lambda log: log.event("probe"))
    assert logging.getLogger().handlers == before


PROGRAM = """
from gateway.config.model import Log
from gateway.observe.logs import configure
log = configure(Log("json", "info", True))
log.event("probe")
log.close()
print(log.dropped, file=__import__("sys").stderr)
"""


def test_stdout_is_the_default() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True)
    assert json.loads(done.stdout)["event"] == "probe"
    assert done.stderr == b"0\n"


def test_a_process_without_stdout_runs() -> None:
    """A file opened later gets descriptor 1, perhaps a socket: it must not receive the log."""
    program = "import socket; pair = socket.socketpair(); assert pair[0].fileno() == 1\n" + PROGRAM
    program += "pair[1].setblocking(False)\n"
    program += "try: raise SystemExit(pair[1].recv(1))\nexcept BlockingIOError: pass\n"
    shell = ["/bin/sh", "-c", 'exec "$0" -c "$1" >&-', sys.executable, program]
    done = subprocess.run(shell, capture_output=True, check=True)
    assert done.stderr == b"0\n"


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 0, 0), (0.5, 60, 140), (1.0, 200, 200)])
async def test_a_share_of_what_went_well_is_written_and_all_that_went_wrong(
    tmp_path: Path, share: float, least: int, most: int
) -> None:
    yaml = f"log: {{sample: {share:g}}}\nroutes: [{{path: /open, auth: none}}]\n"
    async with running(tmp_path, yaml) as gateway:
        async with await Client.connect(gateway.port) as client:
            for number in range(200):
                assert (await client.ask(get("/open"))).status == 200
                if number % 5 == 0:
                    assert (await client.ask(get("/closed"))).status == 401
        gateway.upstream.answer = b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"
        assert (await once(gateway.port, get("/open"))).status == 500
    statuses = [line["status"] for line in gateway.log() if line["event"] == "request"]
    assert least <= statuses.count(200) <= most
    assert least / 10 <= statuses.count(401) <= most / 5
    assert statuses.count(500) == 1
