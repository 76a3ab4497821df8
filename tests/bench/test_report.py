from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from bench.__main__ import pages
from bench.chart import Bar, Group, draw
from bench.figures import BEGIN, END, between_marks, command, published, summary, tables
from bench.parts import Parts
from bench.report import Column, Entry, Outcome, as_json, table

ROOT = Path(__file__).parents[2]
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


RUN = {"command": "make bench", "at": "2030-01-02T03:04", "cpu": "x", "cpus": 2, "kernel": "6", "python": "3"}


def ran(outcome: Any, control: tuple[float, ...] | None = (1.0, 1.01, 0.99)) -> Any:
    """The JSON of a run with this outcome, whose second nginx cost that many times the first."""
    outcome.entries[0].rounds = [
        {"cpu_us": cost, "user_us": 30.0, "system_us": 10.0} for cost in (40, 44, 36)
    ]
    outcome.entries[1].rounds = [{"cpu_us": 50.0}] * 3
    outcome.entries.append(Entry("nginx", "nginx", "1", [], [{"cpu_us": 10.0}] * 3))
    if control is not None:
        outcome.again = Entry("control", "nginx", "1", [], [{"cpu_us": 10 * each} for each in control])
    return json.loads(json.dumps(as_json([outcome], RUN)))


def test_a_quiet_run_is_published_with_the_spread_of_its_ratios(outcome: Any) -> None:
    found = json.loads(json.dumps(published(ran(outcome), "here")))
    older = {
        "machine": "there",
        "run": {"cpu": "y"},
        "works": {
            "warm": {
                "title": "one warm token",
                "control": None,
                "contestants": {"haproxy": {"title": "HAProxy", "version": "2.6", "ratio": [0.6, 0.9]}},
            }
        },
    }
    lines = summary([found, older]).splitlines()
    assert lines[0] == "| our CPU per request ÷ theirs | HAProxy | Lax | nginx |"
    assert lines[2].startswith("| one warm token | 0.60 – 0.90 (2 machines) | 4.00 – 4.40 (1 machine) |")
    assert lines[-1] == "Machines: x, y."
    shown = tables([found, older]).splitlines()
    assert shown[0] == "**x**, 2 CPUs, Linux 6, Python 3, 2030-01-02; `make bench`."
    assert "| one warm token | cognito-gateway 0.1 | 40.0 | 30.0 | 10.0 |  |" in shown
    assert "| one warm token | HAProxy 2.6 | 50.0 | – | – | 0.80 (0.72 – 0.88) |" in shown
    assert "| one warm token | control: nginx ÷ nginx 1.00 (0.99 – 1.01): quiet |  |  |  |  |" in shown
    assert shown[-1] == "| one warm token | HAProxy 2.6 | – | – | – | 0.60 – 0.90 |"
    with pytest.raises(ValueError, match="no figures"):
        summary([])


@pytest.mark.parametrize(
    ("control", "why"),
    [
        ((1.0, 1.2, 0.99), "TOO NOISY"),
        ((1.05, 1.04, 1.06), "TOO NOISY"),
        ((1.0, 1.0), "too few"),
        (None, "no control"),
    ],
)
def test_a_noisy_run_is_not_published(outcome: Any, control: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        published(ran(outcome, control), "here")


def test_the_table_says_how_far_equal_programs_differed_and_what_was_counted(outcome: Any) -> None:
    ran(outcome)
    outcome.columns = (CPU,)
    outcome.entries[0].parts = Parts({"read": 2.0, "mmap": 0.01}, {}, {"instructions": "no counters"})
    lines = table(outcome).splitlines()
    assert "control: nginx ÷ nginx 1.00 (0.99 – 1.01): quiet" in lines
    counted = "2.0 system calls (read 2.0); instructions not counted here: no counters"
    assert f"cognito-gateway 0.1: {counted}" in lines


def test_readme_and_page_show_the_figures_of_every_machine() -> None:
    for file, text in pages(ROOT).items():
        assert file.read_text() == text, f"{file.name}: make bench ARGS='--publish …' writes it"


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
