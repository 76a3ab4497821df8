"""The documentation holds together: links lead somewhere, and what it names exists."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.commands.registry import CommandLine
from gateway.config.shapes import ListOf, MapOf, Section
from gateway.config.table import SCHEMA
from gateway.observe.metrics import METRICS, PREFIX

ROOT = Path(__file__).parents[1]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("[A-Z]*.md"), ROOT / "local_cognito/README.md"])
TEXTS = {page: page.read_text(encoding="utf-8") for page in PAGES}
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


# --- links ---


def prose(page: Path) -> str:
    """Without code blocks, whose brackets are no links."""
    return re.sub(r"^```.*?^```$", "", TEXTS[page], flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """As GitHub makes them: lower case, punctuation dropped, blanks to hyphens."""
    headings = re.findall(r"(?m)^#+ (.+)$", prose(page))
    return {re.sub(r"[^\w\- ]", "", each.lower().replace("`", "")).replace(" ", "-") for each in headings}


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        found = (page.parent / name).resolve() if name else page
        assert found.exists(), f"{target}: no such file"
        if anchor and found.suffix == ".md":
            assert anchor in anchors(found), f"{target}: no such heading"


def test_files_that_contributors_are_sent_to_exist() -> None:
    for page in (ROOT / "docs/contributing.md", ROOT / "CONTRIBUTING.md"):
        named = re.findall(r"`((?:gateway|tests|local_cognito|\.ci)/[\w./-]+)`", TEXTS[page])
        assert [name for name in named if not (ROOT / name).exists()] == []
        for name, function in re.findall(r"`(gateway/[\w/]+\.py)`, `(\w+)`", TEXTS[page]):
            assert re.search(rf"(?m)^ *def {function}\(", (ROOT / name).read_text()), (name, function)


def test_every_page_is_in_the_index() -> None:
    index = set(re.findall(r"\]\(([^)#\s]+)", TEXTS[ROOT / "docs/README.md"]))
    pages = {str(p.relative_to(ROOT / "docs")) for p in PAGES if p.parent == ROOT / "docs"} - {"README.md"}
    assert pages - index == set()


# --- commands ---

# Words that stand for something of the reader's own.
_PLACEHOLDER = re.compile(r"[A-Z]{3,}")


def code(page: Path) -> Iterator[str]:
    """Lines of code blocks, indented ones too, and what stands between backticks."""
    text = TEXTS[page]
    for block in re.findall(r"^```\w*\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE):
        yield from block.splitlines()
    yield from re.findall(r"(?m)^ {4,}(\S.*)$", prose(page))
    yield from re.findall(r"`([^`\n]+)`", prose(page))


def commands(page: Path) -> Iterator[list[str]]:
    """The arguments of every `cognito-gateway …`; what a shell would not hand to it is cut off."""
    for line in code(page):
        found = re.match(
            r"(?:\$ )?(?:\w+=\$\(|eval \"\$\(|credential_process = |printf .*\| *)*"
            r"(?:TOKEN=\$\(printf [^|]*\| )?(?:\.venv/bin/)?cognito-gateway ([a-z].*)",
            line,
        )
        if found is None:
            continue
        words = []
        lexer = shlex.shlex(found[1], posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        for word in lexer:
            if re.fullmatch(r"[();<>|&#]+.*|…", word):
                break
            words.append(word)
        yield words


def stands(words: list[str]) -> list[str]:
    """Placeholders become values that argparse takes; what stands behind --method is none."""
    before = ["", *words]
    return [
        "1" if _PLACEHOLDER.fullmatch(word) and last != "--method" else word
        for last, word in zip(before, words, strict=False)
    ]


def parses(arguments: list[str]) -> bool:
    try:
        CommandLine().parse(arguments)
    except SystemExit as ended:
        return ended.code == 0
    return True


@every_page
def test_commands_parse(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in commands(page):
        # A command alone is its name, though it would want more.
        whole = [*words, "--help"] if len(words) == 1 else stands(words)
        assert parses(whole), f"{' '.join(words)}: {capsys.readouterr().err}"


def test_there_are_commands_to_look_at() -> None:
    found = [words for page in PAGES for words in commands(page)]
    assert len(found) > 30
    assert {"serve", "check-config", "token", "explain", "doctor", "setup"} <= {words[0] for words in found}


# --- settings ---


def settings(section: Section[Any], before: str = "") -> Iterator[str]:
    for key in section.keys:
        name = f"{before}{key.name}"
        yield name
        shape = key.shape.of if isinstance(key.shape, ListOf) else key.shape
        if isinstance(shape, Section):
            yield from settings(shape, name + ".")


KNOWN = set(settings(SCHEMA))
OPEN = {key for key in KNOWN if key.endswith(".claims")}
SECTIONS = {key.name for key in SCHEMA.keys if isinstance(key.shape, Section | ListOf | MapOf)}


def values(of: object, before: str = "") -> Iterator[str]:
    """The chart's values, some of whose names begin as sections of ours do."""
    if isinstance(of, dict):
        for name, inner in of.items():
            yield f"{before}{name}"
            yield from values(inner, f"{before}{name}.")


CHART = set(values(yaml.safe_load((ROOT / "helm/values.yaml").read_text(encoding="utf-8"))))


@every_page
def test_settings_exist(page: Path) -> None:
    known = KNOWN | CHART if page.name in {"kubernetes.md", "migrating.md"} else KNOWN
    for named in re.findall(r"`([a-z_]+(?:\[\])?(?:\.[a-z_]+(?:\[\])?)+)[:`]", prose(page)):
        name = named.replace("[]", "")
        if name.partition(".")[0] in SECTIONS and not name.endswith((".py", ".md", ".yaml")):
            assert name in known or name.rpartition(".")[0] in OPEN, f"{named}: no such setting"


# --- metrics ---

NAMES = {PREFIX + metric.name for metric in METRICS} | {
    f"{PREFIX}{metric.name}_{end}"
    for metric in METRICS
    if metric.kind == "histogram"
    for end in ("sum", "count", "bucket")
}


@every_page
def test_metrics_exist(page: Path) -> None:
    # Cookies and keys in Redis begin in the same way, and end otherwise.
    endings = "|".join({name.rpartition("_")[2] for name in NAMES})
    for named in re.findall(rf"\b{PREFIX}[a-z_]+_(?:{endings})\b", TEXTS[page]):
        assert named in NAMES or "session" in named, named


# --- the package's addresses ---


def test_the_packages_addresses_lead_to_files_of_the_repository() -> None:
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
    assert {"Homepage", "Documentation", "Issues", "Changelog"} <= set(urls)
    for name, url in urls.items():
        assert url.startswith(urls["Homepage"]), name
        path = re.sub(r"^/(?:blob|tree)/main/", "", url.removeprefix(urls["Homepage"]))
        assert path in {"", "/issues"} or (ROOT / path).exists(), name


# --- CI ---


def targets_of(makefile: str) -> set[str]:
    return set(re.findall(r"(?m)^([a-z-]+):.*## ", makefile))


def test_ci_calls_targets_that_exist_and_all_that_test() -> None:
    targets = targets_of((ROOT / "Makefile").read_text())
    assert {"lint", "test", "test-engines", "test-slow"} <= targets
    workflow = (ROOT / ".github/workflows/ci.yaml").read_text()
    script = (ROOT / ".ci/run").read_text()
    for called in (
        set(re.findall(r"run: make ([a-z-]+)", workflow)),
        set(re.findall(r"(?m)^ *(?:make|suite) ([a-z-]+)", script)),
    ):
        assert called <= targets
        assert called >= {each for each in targets if each.startswith("test")} | {"lint", "sslyze"}


def test_the_workflow_tests_beside_engines_on_the_images_version() -> None:
    (image,) = re.findall(r"(?m)^ARG PYTHON_IMAGE=python:(3\.\d+)", (ROOT / "Dockerfile").read_text())
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yaml").read_text())["jobs"]
    assert image in jobs["test"]["strategy"]["matrix"]["python"]
    assert jobs["engines"]["container"] == f"python:{image}-bookworm"
    assert jobs["slow"]["container"]["image"] == f"python:{image}-bookworm"
