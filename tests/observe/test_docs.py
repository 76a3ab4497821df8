"""docs/metrics.md, logs.md and reasons.md against the code: nothing undocumented, nothing made up.

Events, reasons, metrics and keys have the same names everywhere: code, docs, dashboard, alerts and chart.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.config.shapes import ListOf, Section
from gateway.config.table import SCHEMA
from gateway.errors import Refusal
from gateway.observe.metrics import BOUNDS, METRICS, PREFIX
from tests.support.log_fields import ACCESS_FIELDS

ROOT = Path(__file__).parents[2]
METRICS_PAGE = (ROOT / "docs" / "metrics.md").read_text()
LOGS_PAGE = (ROOT / "docs" / "logs.md").read_text()
REASONS_PAGE = (ROOT / "docs" / "reasons.md").read_text()

# Names of builds before 0.1.0 → what they are called now. CHANGELOG.md alone may still say them.
RENAMED = {
    "redis_away": "redis_unavailable",
    "redis_back": "redis_recovered",
    "tracing_away": "tracing_unavailable",
    "tracing_back": "tracing_recovered",
    "secret_made": "session_secret_generated",
    "key_set_taken_over": "key_set_adopted",
    "key_set_not_taken_over": "key_set_rejected",
    "worker_not_started": "worker_start_failed",
    "worker_ended": "worker_exited",
    "config_reload_held": "config_reload_deferred",
    "cognito_away": "cognito_unavailable",
    "sessions_away": "sessions_unavailable",
    "id_token_needed": "id_token_required",
    "signing_names": "reserved_query_names",
    "method_refused": "method_not_allowed",
    "original_unclear": "original_request_unclear",
    "decisions.md": "reasons.md",
}
# Names in the docs that are other software's.
FOREIGN = {
    "auth_request",
    "encode_spans",
    "error_page",
    "expires_in",
    "forward_auth",
    "http_service",
    "jwt_verify",
    "limit_req",
    "mod_cache",
    "ngx_http_auth_request_module",
    "proxy_cache",
    "recover_data_from_signature",
    "remove_on_match",
    "request_header",
    "retry_policy",
    "sock_def_readable",
    "status_on_error",
}

# Logger.event itself, the two records that are written without it, and those whose name is an argument.
WRITTEN_OTHERWISE = {
    "request": set[str](),
    "log_dropped": {"lines"},
    "log": {"logger", "message", "exception"},
    "mcp_sign_in": {"mcp_client"},
    "mcp_consent": {"mcp_client"},
    "mcp_denied": {"mcp_client"},
    "mcp_code_used_twice": {"mcp_client"},
    "mcp_tokens_issued": {"mcp_client"},
    "mcp_tokens_renewed": {"mcp_client"},
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
    # The class has the first one; what OAuth endpoints refuse has others too.
    assert {
        reason: row[0].partition(",")[0] for reason, row in rows(REASONS_PAGE, "Reasons").items()
    } == declared


def test_every_reason_says_what_to_do() -> None:
    for heading in ("Reasons", "Reasons that are not refusals"):
        for reason, (_, meaning, advice) in rows(REASONS_PAGE, heading).items():
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
        if isinstance(node, ast.Return)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    }
    written = re.compile(r'(?:\.decision, \w+\.reason = "\w+", |\.failure = )"(\w+)"')
    for path in (ROOT / "gateway").rglob("*.py"):
        found |= set(written.findall(path.read_text()))
    return found


def test_reasons_that_are_no_refusal_are_documented() -> None:
    assert rows(REASONS_PAGE, "Reasons that are not refusals").keys() == other_reasons()


@pytest.mark.parametrize("page", [METRICS_PAGE, LOGS_PAGE, REASONS_PAGE], ids=["metrics", "logs", "reasons"])
def test_queries_name_metrics_that_exist(page: str) -> None:
    names = set(re.findall(rf"{PREFIX}[a-z_]+", page))
    known = {PREFIX + metric.name for metric in METRICS}
    suffixed = {
        PREFIX + m.name + s for m in METRICS if m.kind == "histogram" for s in ("_sum", "_count", "_bucket")
    }
    assert names <= known | suffixed


# --- the same names everywhere ---

TRACKED = ("docs", "gateway", "local_cognito", "helm", "tests", "config", "bench")
TEXTS = {
    path: path.read_text(encoding="utf-8", errors="ignore")
    for path in [*ROOT.glob("*.*"), *(p for top in TRACKED for p in (ROOT / top).rglob("*"))]
    if path.is_file()
    and path.suffix in {".py", ".md", ".yaml", ".yml", ".json", ".txt", ".tpl", ".toml", ".html"}
}
PACKAGES = (ROOT / "gateway", ROOT / "local_cognito/src")
CODE = " ".join(text for path, text in TEXTS.items() if any(map(path.is_relative_to, PACKAGES)))
WORDS_IN_CODE = set(re.findall(r"\w+", CODE))


def test_no_name_of_an_earlier_build_is_left() -> None:
    assert CODE
    old = re.compile(rf"\b(?:{'|'.join(map(re.escape, RENAMED))})\b")
    left = [
        f"{path.relative_to(ROOT)}: {name} is called {RENAMED[name]} now"
        for path, text in TEXTS.items()
        if path != Path(__file__) and path.name != "CHANGELOG.md"
        for name in set(old.findall(text))
    ]
    assert not left, "\n".join(left)


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_names_in_the_docs_stand_in_the_code(page: Path) -> None:
    in_chart = set(re.findall(r"\w+", TEXTS[ROOT / "helm" / "values.yaml"]))
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", TEXTS[page]))
    assert named - WORDS_IN_CODE - in_chart - {PREFIX + metric.name for metric in METRICS} - FOREIGN == set()


@pytest.mark.parametrize("name", ["alerts.yaml", "dashboard.json"])
def test_label_values_in_queries_stand_in_the_code(name: str) -> None:
    queries = TEXTS[ROOT / "helm" / "files" / name].replace('\\"', '"')
    labels = "|".join({label for metric in METRICS for label in metric.labels} - {"code", "pool", "version"})
    matched = " ".join(re.findall(rf'\b(?:{labels})!?=~?"([^"$]+)"', queries))
    values = set(re.findall(r"\w+", matched))
    assert values
    assert values - WORDS_IN_CODE == set()


def keys(section: Section[Any], before: str = "") -> Iterator[str]:
    for key in section.keys:
        yield (name := f"{before}{key.name}")
        shape = key.shape.of if isinstance(key.shape, ListOf) else key.shape
        if isinstance(shape, Section):
            yield from keys(shape, name + ".")


def test_keys_in_messages_exist() -> None:
    known = set(keys(SCHEMA))
    sections = "|".join(key.name for key in SCHEMA.keys if isinstance(key.shape, Section | ListOf))
    named = re.compile(rf"(?<![\w./-])(?:{sections})(?:\[\])?(?:\.[a-z_]+(?:\[\])?)+(?![\w(])")
    for path in (ROOT / "gateway").rglob("*.py"):
        tree = ast.parse(TEXTS[path])
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                for name in named.findall(node.value):
                    key = name.replace("[]", "").rstrip(".")
                    assert key in known or ".md" in key or ".py" in key, f"{path.name}:{node.lineno}: {name}"
