from __future__ import annotations

from typing import Any

import pytest

from bench.goals import Goal, Verdict
from bench.load.steady import SteadyResult
from bench.processes import BenchError
from bench.works import WORKS
from bench.works.growth import routes
from bench.works.openloop import require_on_time

ROUNDS = {
    "gateway": [{"cpu": 2.0}, {"cpu": 6.0}, {"cpu": 4.0}],
    "nginx": [{"cpu": 1.0}, {"cpu": 2.0}, {"cpu": 4.0}],
}


@pytest.mark.parametrize(
    ("goal", "value"),
    [
        (Goal("median", "cpu", 1), 4.0),
        (Goal("worst", "cpu", 1, highest=True), 6.0),
        (Goal("ratio by round", "cpu", 1, "nginx"), 2.0),
        (Goal("absent peer", "cpu", 1, "haproxy"), None),
        (Goal("absent figure", "rss", 1), None),
    ],
)
def test_a_goal_takes_the_figure_that_decides(goal: Any, value: Any) -> None:
    assert goal.value(ROUNDS, "gateway") == value


def test_without_ours_there_is_nothing_to_judge() -> None:
    assert Goal("x", "cpu", 1, "nginx").value({"nginx": ROUNDS["nginx"]}, "gateway") is None


def test_a_verdict_says_which_way_it_went() -> None:
    assert str(Verdict("CPU ÷ it", 2.5, 2.5)) == "bar: CPU ÷ it ≤ 2.5: 2.50, met"
    assert str(Verdict("CPU ÷ it", 2.5, 2.51)) == "bar: CPU ÷ it ≤ 2.5: 2.51, MISSED"
    assert Verdict("x", 1, None).met is None
    assert str(Verdict("x", 1, None)) == "bar: x ≤ 1: not measured"


def test_a_late_generator_makes_the_run_invalid() -> None:
    good, bad = SteadyResult(990, 0, 0, 1, []), SteadyResult(10, 0, 10, 1, [])
    assert require_on_time([good, bad]) == pytest.approx(0.01)
    with pytest.raises(BenchError, match="invalid"):
        require_on_time([good, bad, bad])


def test_the_last_route_is_the_one_asked_for() -> None:
    assert len(routes(10)) == 10
    assert len(set(routes(1000))) == 1000
    assert routes(10)[-1] == "/api/v1/config"


def test_every_goal_names_a_column_of_its_work() -> None:
    for work in WORKS.values():
        assert {goal.key for goal in work.goals} <= {column.key for column in work.columns}
