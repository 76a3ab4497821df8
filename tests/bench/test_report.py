from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import pytest

from bench.chart import Bar, Group, draw
from bench.goals import Goal
from bench.readme import BEGIN, END, between_marks, command, section
from bench.report import Column, Entry, Outcome, as_json, table

CPU = Column("cpu_us", "CPU µs/req")


@pytest.fixture
def outcome() -> Any:
    found = Outcome("warm", "one warm token", (CPU, Column("per_second", "req/s", 0)), CPU, 2)
    found.entries = [
        Entry("gateway", "cognito-gateway", "0.1", [], [{"cpu_us": 40.0, "per_second": 20_000.4}] * 2),
        Entry("haproxy", "HAProxy", "2.6", [], [{"cpu_us": 50.0, "per_second": 18_000}] * 2),
        Entry("lax", "Lax", "", ["wrong token_use"], [{"cpu_us": 10.0, "per_second": 1}] * 2),
        Entry(
            "broken", "Broken", "1", [], [{"cpu_us": 1.0, "per_second": 1}], failed="3 of 9 requests failed"
        ),
    ]
    found.left_out = {"absent": "absent is not installed"}
    return found


def test_the_table_shows_medians_ratios_and_who_is_missing(outcome: Any) -> None:
    text = table(outcome)
    lines = text.splitlines()
    assert lines[0] == "one warm token (medians of 2 rounds)"
    assert lines[1].split() == ["CPU", "µs/req", "req/s", "CPU", "µs/req,", "range", "ours", "÷", "peer"]
    assert lines[2].split() == ["cognito-gateway", "0.1", "40.0", "20,000", "40.0", "–", "40.0"]
    assert lines[3].split() == ["HAProxy", "2.6", "50.0", "18,000", "50.0", "–", "50.0", "0.80"]
    assert "Lax cannot check: wrong token_use" in lines
    assert "Broken 1 not measured: 3 of 9 requests failed" in lines
    assert "absent left out: absent is not installed" in lines
    assert not any(line.startswith("Broken 1  ") for line in lines)


def test_without_a_headline_there_is_no_ratio(outcome: Any) -> None:
    outcome.headline = None
    assert "÷" not in table(outcome)
    assert outcome.ratio_to(outcome.entries[1]) is None


def test_a_gateway_that_failed_gives_no_ratio(outcome: Any) -> None:
    outcome.entries[0].failed = "no"
    assert outcome.ratio_to(outcome.entries[1]) is None


def test_json_holds_every_round(outcome: Any) -> None:
    written = json.loads(json.dumps(as_json([outcome], {"cpu": "x"})))
    contestants = written["works"]["warm"]["contestants"]
    assert contestants["haproxy"]["ours_to_it"] == 0.8
    assert contestants["haproxy"]["rounds"] == [{"cpu_us": 50.0, "per_second": 18_000}] * 2
    assert contestants["broken"]["failed"] == "3 of 9 requests failed"
    assert written["run"] == {"cpu": "x"}


def test_the_chart_is_well_formed_and_its_bars_are_in_proportion() -> None:
    bars = [Bar("a <b> & c", 20.0), Bar("ours", 40.0, "ours", ours=True), Bar("c", 0.0)]
    root = ElementTree.fromstring(
        draw("CPU", "warm", "µs per request", [Group("<warm>", bars[:2]), Group("new", bars[2:])])
    )
    name = "{http://www.w3.org/2000/svg}"
    widths = [float(rect.attrib["width"]) for rect in root.iter(f"{name}rect")]
    assert widths[1] == pytest.approx(2 * widths[0])
    assert 0 < widths[2] <= 1
    labels = [text.text for text in root.iter(f"{name}text")]
    assert "a <b> & c" in labels
    assert labels.index("<warm>") < labels.index("new")
    assert "20.0 µs" in labels
    assert "prefers-color-scheme: dark" in (root.findtext(f"{name}style") or "")
    width = float(root.attrib["width"])
    assert all(float(text.attrib["x"]) < width for text in root.iter(f"{name}text"))


def test_nothing_to_draw_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing"):
        draw("CPU", "", "µs", [Group("warm", [])])


def test_the_readme_gets_what_the_run_found(outcome: Any) -> None:
    outcome.goals = [
        Goal("CPU ÷ HAProxy", "cpu_us", 0.85, "haproxy"),
        Goal("CPU", "cpu_us", 39),
        Goal("never", "none", 1),
    ]
    run = {
        "command": "make bench",
        "at": "2030-01-02T03:04",
        "cpu": "x",
        "cpus": 2,
        "kernel": "6",
        "python": "3",
    }
    written = json.loads(json.dumps(as_json([outcome], run)))
    lines = section(written).splitlines()
    assert lines[0] == "| CPU µs per request | cognito-gateway 0.1 | HAProxy 2.6 | Lax |"
    assert lines[2] == "| one warm token | **40.0** | 50.0 (ratio 0.80) | 10.0 (ratio 4.00) |"
    assert "| one warm token: CPU ÷ HAProxy | ≤ 0.85 | 0.80 |" in lines
    assert "| one warm token: CPU | ≤ 39 | 40.00 (missed) |" in lines
    assert not any("never" in line for line in lines)
    assert "`make bench` on 2030-01-02: x, 2 CPUs" in lines[-1]
    with pytest.raises(ValueError, match="no figures"):
        section({"works": {}, "run": run})


def test_only_what_stands_between_the_marks_is_replaced() -> None:
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert between_marks(text, "new") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    assert between_marks(between_marks(text, "new"), "old") == text
    for broken in ("none", BEGIN, END, f"{END} {BEGIN}"):
        with pytest.raises(ValueError, match="lacks"):
            between_marks(broken, "new")


def test_the_command_leaves_out_where_files_went() -> None:
    argv = ["--work", "warm,new", "--json", "a", "--svg=b", "--keep", "--gateway", "x y", "--rounds", "7"]
    assert command(argv) == 'make bench ARGS="--work warm,new --rounds 7"'
    assert command([]) == "make bench"
