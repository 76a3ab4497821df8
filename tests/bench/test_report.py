import json
from xml.etree import ElementTree

import pytest

from bench.chart import Bar, draw
from bench.report import Column, Entry, Outcome, as_json, table

CPU = Column("cpu_us", "CPU µs/req")


@pytest.fixture
def outcome():
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


def test_the_table_shows_medians_ratios_and_who_is_missing(outcome):
    text = table(outcome)
    lines = text.splitlines()
    assert lines[0] == "one warm token (medians of 2 rounds)"
    assert lines[1].split() == ["CPU", "µs/req", "req/s", "CPU", "µs/req,", "range", "ours", "÷", "it"]
    assert lines[2].split() == ["cognito-gateway", "0.1", "40.0", "20,000", "40.0", "–", "40.0"]
    assert lines[3].split() == ["HAProxy", "2.6", "50.0", "18,000", "50.0", "–", "50.0", "0.80"]
    assert "Lax cannot check: wrong token_use" in lines
    assert "Broken 1 not measured: 3 of 9 requests failed" in lines
    assert "absent left out: absent is not installed" in lines
    assert not any(line.startswith("Broken 1  ") for line in lines)


def test_without_a_headline_there_is_no_ratio(outcome):
    outcome.headline = None
    assert "÷" not in table(outcome)
    assert outcome.ratio_to(outcome.entries[1]) is None


def test_a_gateway_that_failed_gives_no_ratio(outcome):
    outcome.entries[0].failed = "no"
    assert outcome.ratio_to(outcome.entries[1]) is None


def test_json_holds_every_round(outcome):
    written = json.loads(json.dumps(as_json([outcome], {"cpu": "x"})))
    contestants = written["works"]["warm"]["contestants"]
    assert contestants["haproxy"]["ours_to_it"] == 0.8
    assert contestants["haproxy"]["rounds"] == [{"cpu_us": 50.0, "per_second": 18_000}] * 2
    assert contestants["broken"]["failed"] == "3 of 9 requests failed"
    assert written["run"] == {"cpu": "x"}


def test_the_chart_is_well_formed_and_its_bars_are_in_proportion():
    bars = [Bar("a <b> & c", 20.0), Bar("ours", 40.0, "ours", ours=True), Bar("c", 0.0)]
    root = ElementTree.fromstring(draw("CPU", "warm", "µs per request", bars))
    name = "{http://www.w3.org/2000/svg}"
    widths = [float(rect.get("width")) for rect in root.iter(f"{name}rect")]
    assert widths[1] == pytest.approx(2 * widths[0])
    assert 0 < widths[2] <= 1
    labels = [text.text for text in root.iter(f"{name}text")]
    assert "a <b> & c" in labels
    assert "20.0 µs" in labels
    assert "prefers-color-scheme: dark" in root.find(f"{name}style").text
    width = float(root.get("width"))
    assert all(float(text.get("x")) < width for text in root.iter(f"{name}text"))


def test_nothing_to_draw_is_an_error():
    with pytest.raises(ValueError, match="nothing"):
        draw("CPU", "", "µs", [])
