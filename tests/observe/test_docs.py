"""docs/metrics.md, logs.md and decisions.md against the code: nothing undocumented, nothing made up."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.errors import Refusal
from gateway.observe.metrics import BOUNDS, METRICS, PREFIX
from tests.observe.test_logs import ACCESS_FIELDS

ROOT = Path(__file__).parents[2]
METRICS_PAGE = (ROOT / "docs" / "metrics.md").read_text()
LOGS_PAGE = (ROOT / "docs" / "logs.md").read_text()
DECISIONS_PAGE = (ROOT / "docs" / "decisions.md").read_text()

# Logger.event itself, and the two records that are written without it.
WRITTEN_OTHERWISE = {
    "request": set[str](),
    "log_dropped": {"lines"},
    "log": {"logger", "message", "exception"},
}


def rows(page: str, heading: str) -> dict[str, list[str]]:
    """The table below a heading: first cell (without backticks) → the other cells."""
    section = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section.splitlines()
        if line[:1] == "|"
    ]
    return {row[0].strip("`"): row[1:] for row in cells[2:]}


def words(cell: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", cell))


def test_metrics_are_documented_with_type_and_labels() -> None:
    documented = rows(METRICS_PAGE, "The metrics")
    assert {name: (row[0], words(row[1])) for name, row in documented.items()} == {
        PREFIX + metric.name: (metric.kind, set(metric.labels)) for metric in METRICS
    }


def test_buckets_are_documented() -> None:
    sentence = re.search(r"buckets end at (.*)", METRICS_PAGE)
    assert sentence
    milliseconds, seconds = sentence.group(1).split(" ms, ")
    numbers = [float(n) / 1000 for n in re.findall(r"[\d.]*\d", milliseconds)]
    numbers += [float(n) for n in re.findall(r"[\d.]*\d", seconds)]
    assert numbers == list(BOUNDS)


def test_access_fields_are_documented_in_their_order() -> None:
    section = LOGS_PAGE.partition("\n## Access lines\n")[2].partition("\n## ")[0]
    first_cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert re.findall(r"`([^`]+)`", " ".join(first_cells)) == ACCESS_FIELDS


def events_in_code() -> Iterator[tuple[str, set[str]]]:
    """Name and fields of every `….event("name", level=…, field=…)` in the package."""
    for path in (ROOT / "gateway").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
                continue
            if node.func.attr == "event":
                names = [n.value for n in ast.walk(node.args[0]) if isinstance(n, ast.Constant)]
                fields = {keyword.arg for keyword in node.keywords if keyword.arg not in {None, "level"}}
                for name in names:
                    yield str(name), {str(field) for field in fields}


def test_events_are_documented_with_their_fields() -> None:
    documented = {name: words(row[0]) for name, row in rows(LOGS_PAGE, "Events").items()}
    for name, fields in events_in_code():
        if name not in WRITTEN_OTHERWISE:
            assert name in documented, f"docs/logs.md, Events: add a row for `{name}`"
            assert fields <= documented[name], (
                f"docs/logs.md, Events: `{name}` lacks {fields - documented[name]}"
            )


def test_no_event_is_made_up() -> None:
    written = WRITTEN_OTHERWISE.keys() | {name for name, _ in events_in_code()}
    assert rows(LOGS_PAGE, "Events").keys() <= written


def refusals(of: type[Refusal] = Refusal) -> Iterator[type[Refusal]]:
    for refusal in of.__subclasses__():
        yield refusal
        yield from refusals(refusal)


def test_reasons_are_documented_with_their_status() -> None:
    declared = {r.reason: str(r.status) for r in refusals() if r.__module__ == "gateway.errors"}
    assert {reason: row[0] for reason, row in rows(DECISIONS_PAGE, "Reasons").items()} == declared


def test_every_reason_says_what_to_do() -> None:
    for heading in ("Reasons", "Reasons that are no refusal"):
        for reason, (_, meaning, advice) in rows(DECISIONS_PAGE, heading).items():
            assert meaning, reason
            assert advice, reason


def other_reasons() -> set[str]:
    """Words that become a request's reason without a refusal: what decides returns, and what is written."""
    decide = ast.parse((ROOT / "gateway/policy/decide.py").read_text())
    found = {
        node.value.value
        for function in ast.walk(decide)
        if isinstance(function, ast.FunctionDef) and function.name == "decide"
        for node in ast.walk(function)
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Constant)
    }
    written = re.compile(r'(?:\.decision, \w+\.reason = "\w+", |\.failure = )"(\w+)"')
    for path in (ROOT / "gateway").rglob("*.py"):
        found |= set(written.findall(path.read_text()))
    return found


def test_reasons_that_are_no_refusal_are_documented() -> None:
    assert rows(DECISIONS_PAGE, "Reasons that are no refusal").keys() == other_reasons()


@pytest.mark.parametrize(
    "page", [METRICS_PAGE, LOGS_PAGE, DECISIONS_PAGE], ids=["metrics", "logs", "decisions"]
)
def test_queries_name_metrics_that_exist(page: str) -> None:
    names = set(re.findall(rf"{PREFIX}[a-z_]+", page))
    known = {PREFIX + metric.name for metric in METRICS}
    suffixed = {
        PREFIX + m.name + s for m in METRICS if m.kind == "histogram" for s in ("_sum", "_count", "_bucket")
    }
    assert names <= known | suffixed
