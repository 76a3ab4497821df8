"""The house rules that a machine can hold: imports run downward only, no cycle, no overgrown function."""

from __future__ import annotations

import ast
import functools
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.support.rooms import BEGIN, END, PAGE, written_again

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "gateway"
EMULATOR = ROOT / "local_cognito/src/local_cognito"

# room → the rooms it may import besides itself (docs/architecture.md draws it)
BASE = {"abandon", "config", "errors", "observe", "outgoing", "terminal", "texts", "tls", "version"}
FLOORS: dict[str, set[str]] = {
    "texts": set(),
    "errors": {"texts"},
    "version": set(),
    "terminal": set(),
    "abandon": set(),
    "config": {"errors"},
    "observe": {"config", "errors", "version"},
    "tls": {"config", "errors", "observe"},
    "outgoing": {"config", "errors", "tls", "version"},
    "redis": BASE,
    "policy": BASE | {"tokens"},
    "tokens": BASE,
    "http": BASE | {"policy", "tokens"},
    "keys": BASE | {"tokens"},
    "revocation": BASE | {"redis", "tokens"},
    "aws": BASE,
    "upstream": BASE | {"http", "policy"},
    "sessions": BASE | {"aws", "http", "keys", "redis", "tokens"},
    "mcp": BASE | {"aws", "http", "keys", "policy", "redis", "revocation", "sessions", "tokens"},
    "gate": BASE | {"mcp", "http", "keys", "policy", "redis", "revocation", "sessions", "tokens", "upstream"},
    "client": BASE | {"gate", "http", "upstream"},
    "envoy": BASE | {"gate", "http", "policy"},
    "pages": BASE
    | {"aws", "gate", "http", "keys", "mcp", "policy", "redis", "revocation", "sessions", "tokens"},
    "serve": BASE
    | {
        *("aws", "client", "envoy", "gate", "http", "keys", "mcp", "pages", "policy", "redis", "revocation"),
        *("sessions", "tokens", "upstream"),
    },
    "commands": BASE | {"aws", "gate", "keys", "mcp", "policy", "redis", "serve", "sessions", "tokens"},
    "cli": {"commands", "errors", "terminal", "version"},
    "__init__": set(),
    "__main__": {"cli"},
}
# Only these may import what is costly or powerful.
ONLY = {
    "boto3": {"aws"},
    "botocore": {"aws"},
    "google": {"envoy"},
    "grpc": {"envoy"},
    "httptools": {"upstream"},
    "jinja2": {"pages"},
    "jwt": {"aws", "commands", "tokens"},
    # A distribution apart, which need not be installed.
    "local_cognito": {"commands"},
    "opentelemetry": {"gate", "observe"},
    "prometheus_client": {"observe"},
    "ruamel": {"config"},
    "redis": {"redis"},
}

MODULES = sorted(PACKAGE.rglob("*.py"))
EMULATOR_MODULES = sorted(EMULATOR.rglob("*.py"))
OURS = [*MODULES, *EMULATOR_MODULES]


def name_of(path: Path) -> str:
    root = EMULATOR.parent if path.is_relative_to(EMULATOR) else ROOT
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@functools.cache
def nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(parsed(path)))


@functools.cache
def imports(path: Path) -> list[str]:
    """Every imported module's full name, wherever in the file the import stands."""
    found: list[str] = []
    for node in nodes(path):
        if isinstance(node, ast.Import):
            found += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert not node.level, f"{path}: relative import"
            found += (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
    return found


# One test looks at all modules and lists those that break its rule: a test for each module and rule would be
# a quarter of all tests, and cost more than it checks.


def test_imports_run_downward() -> None:
    homeless, climbing = set(), set()
    for path in MODULES:
        module = name_of(path)
        room = room_of(module)
        if room not in FLOORS:
            homeless.add(room)
            continue
        for imported in imports(path):
            top = imported.split(".")[0]
            target = room_of(imported) if top == "gateway" and imported != "gateway" else room
            if (top in ONLY and room not in ONLY[top]) or target not in {room, *FLOORS[room]}:
                climbing.add(f"{module} imports {imported}")
    assert not homeless, "say in FLOORS which floor these rooms stand on"
    assert not climbing


def test_two_modules_of_the_gateway_import_the_local_cognito() -> None:
    """When they are used: `demo` and `local-cognito` say how to install it where it is missing."""
    importers = {
        name_of(path) for path in MODULES if any(each.startswith("local_cognito") for each in imports(path))
    }
    assert importers == {"gateway.commands.local_cognito", "gateway.commands.demo"}


def test_the_local_cognito_imports_nothing_of_the_gateway() -> None:
    foreign = {"gateway", "tests", "bench", "boto3"}
    tops = {name_of(path): {each.partition(".")[0] for each in imports(path)} for path in EMULATOR_MODULES}
    assert {module: found for module, each in tops.items() if (found := each & foreign)} == {}


# Programs that `make` runs; a test runs each of them too.
PROGRAMS = {"tests.faults.soak", "tests.pages.screenshots"}
TESTS = sorted([*(ROOT / "tests").rglob("*.py"), *(ROOT / "bench").rglob("*.py")])


def test_tests_share_helpers_of_support_alone() -> None:
    """A helper in a test module breaks when that module changes, and nobody looks for it there."""
    modules = {name_of(path) for path in TESTS if path.stem != "__init__"}
    own = {each for each in modules if each.startswith("tests.") and not each.startswith("tests.support.")}
    assert {
        (name_of(path), each) for path in TESTS for each in imports(path) if each in own - PROGRAMS
    } == set()


def test_tests_import_no_private_name() -> None:
    """Attributes are ruff's (SLF001)."""
    private = re.compile(r"(?:bench|gateway|local_cognito|tests)\b.*\._[^_]")
    assert {(name_of(path), each) for path in TESTS for each in imports(path) if private.match(each)} == set()


def test_no_import_cycle() -> None:
    known = {name_of(path) for path in OURS}
    graph = {
        name_of(path): {each for each in imports(path) if each in known} - {name_of(path)} for path in OURS
    }
    # `from gateway.x import y` names the package too; a package's own __init__ imports nothing of it.
    graph = {
        module: {each for each in needs if not module.startswith(each + ".")}
        for module, needs in graph.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as cycle:
        pytest.fail(f"import cycle: {' → '.join(cycle.args[1])}")


def test_functions_stay_short() -> None:
    lengths = {
        f"{path.name}:{node.lineno} {node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for path in OURS
        for node in nodes(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {function: lines for function, lines in lengths.items() if lines > 60} == {}


def test_modules_say_what_they_are_for() -> None:
    assert [name_of(path) for path in OURS if not ast.get_docstring(parsed(path))] == []


def test_only_the_commands_read_the_environment() -> None:
    readers = {
        name_of(path)
        for path in MODULES
        if re.search(r"\bos\.(environ|getenv)\b|\bsys\.argv\b", path.read_text())
    }
    assert readers <= {"gateway.cli"}


def test_functions_that_differ_between_interpreters_are_called_in_one_place() -> None:
    texts = {name_of(path): path.read_text() for path in MODULES}
    reporters = {name for name, text in texts.items() if ".call_exception_handler(" in text}
    assert reporters == {"gateway.observe.bugs"}
    # Its flags, and with them the certificates that are accepted, depend on the interpreter's version.
    assert not [name for name, text in texts.items() if "create_default_context(" in text]


@functools.cache
def classes() -> dict[str, list[ast.ClassDef]]:
    found: dict[str, list[ast.ClassDef]] = {}
    for path in MODULES:
        for node in nodes(path):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(node)
    return found


def bases(node: ast.ClassDef) -> list[str]:
    return [base.id for base in node.bases if isinstance(base, ast.Name)]


def members(node: ast.ClassDef) -> set[str]:
    """Methods, properties and attributes, inherited ones of our own classes too."""
    found = {each.name for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}
    for each in ast.walk(node):
        if isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store):
            found.add(each.attr)
    for each in node.body:
        targets = each.targets if isinstance(each, ast.Assign) else [getattr(each, "target", None)]
        found |= {target.id for target in targets if isinstance(target, ast.Name)}
    for base in bases(node):
        for parent in classes().get(base, ()):
            found |= members(parent)
    return found - {"__slots__"}


def test_a_protocol_has_two_implementations_or_a_reason() -> None:
    """It names them in its docstring, or says there why there is one."""
    protocols = [each for same in classes().values() for each in same if "Protocol" in bases(each)]
    assert protocols
    for protocol in protocols:
        said = " ".join((ast.get_docstring(protocol) or "").split())
        if "One implementation, because " in said:
            continue
        named = re.search(r"Implementations: ([\w, ]+)\.", said)
        assert named, f"{protocol.name}: say which classes implement it, or why one does"
        implementations = named[1].split(", ")
        assert len(implementations) >= 2, protocol.name
        for name in implementations:
            assert name in classes(), f"{protocol.name}: there is no class {name}"
            missing = [members(protocol) - members(each) for each in classes()[name]]
            assert set() in missing, f"{protocol.name}: {name} has no {missing}"


def test_lock_files_hold_hashes_and_no_address() -> None:
    for lock in (ROOT / "requirements").glob("*.txt"):
        text = lock.read_text()
        assert "://" not in text, f"{lock.name} names an address"
        pins = re.findall(r"(?m)^([a-z0-9._-]+)==", text, re.IGNORECASE)
        assert pins
        assert text.count("--hash=sha256:") >= len(pins), f"{lock.name}: a pin without a hash"


# Modules that share a name on purpose: a command and the room, page or checks that it is the front of;
# the two ends of an exchange.
SHARED_NAMES = {
    "connection": {"gateway/client", "gateway/upstream"},
    "credentials": {"gateway/commands", "gateway/pages"},
    "explain": {"gateway/commands", "gateway/tokens"},
    "serve": {"gateway", "gateway/commands"},
    "setup": {"gateway/commands", "gateway/pages"},
    "sign_up": {"gateway/commands", "gateway/pages"},
    "version": {"gateway", "gateway/commands"},
}


def test_no_two_modules_share_a_name() -> None:
    """Rooms count as modules, so that an import's last word says which it is."""
    folders: dict[str, set[str]] = {}
    for path in MODULES:
        if path.is_relative_to(PACKAGE) and not path.stem.startswith("__"):
            folders.setdefault(path.stem, set()).add(str(path.parent.relative_to(ROOT)))
    for room in {path.parent for path in MODULES if path.is_relative_to(PACKAGE)} - {PACKAGE}:
        folders.setdefault(room.name, set()).add(str(room.parent.relative_to(ROOT)))
    assert {name: where for name, where in folders.items() if len(where) > 1} == SHARED_NAMES


# What may be set from outside, by the expression before the attribute. Parts are wired by their constructors
# alone: what outlives another is given a function that asks for the newest.
SET_FROM_OUTSIDE = {
    "records that are filled while one request is served": {
        *("answer", "asked.request", "page", "page.request", "refusal", "request", "self._request"),
        *("self._served.request", "served.request", "shown", "unknown"),
    },
    "heads that a parser fills, and those of a request that another proxy names": {"head", "scanned"},
    "entries of the writer's own table": {"entry", "family", "live", "place", "tally"},
    "connections of the pool, which lends and takes them back": {"connection"},
    "state of a part that has one owner, which the owner sets": {
        *("flow", "self._budget", "self._flow", "self._pace", "self._reader", "self._writer", "served"),
        "upstream",
    },
    "the deadline of the client's connection (client/client_side.py)": {
        "client",
        "self._client",
        "self.client",
    },
    "counters": {"by.metrics", "metrics", "self._metrics", "self._service.metrics", "self.metrics"},
    "what is being made: a copy, nodes of a document, what setup has made so far": {
        *("entries[0]", "made", "other", "section"),
    },
    "objects of libraries": {
        *("action", "context", "exporters", "group", "parser", "session", "spec", "timer", "yaml"),
    },
}


def test_nothing_is_set_on_an_object_after_its_construction() -> None:
    found: dict[str, set[str]] = {}
    for path in MODULES:
        if path.stem.endswith("_pb2"):
            continue  # generated
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                owner = ast.unparse(node.value)
                if owner not in {"self", "cls"}:
                    found.setdefault(owner, set()).add(f"{name_of(path)}:{node.lineno}")
    known = set().union(*SET_FROM_OUTSIDE.values())
    assert {owner: where for owner, where in found.items() if owner not in known} == {}
    assert known - found.keys() == set(), "nothing is set there any more"


# Names that libraries look for, and those that only tests and people at a prompt read.
USED_ELSEWHERE = {
    "asyncio": {"is_reading"},
    "httptools": {
        *("on_body", "on_header", "on_headers_complete", "on_message_begin", "on_message_complete"),
        "on_status",
    },
    "logging": {"emit"},
    "redis": {"get_credentials_async"},
    "tests": {"IMPLIED", "grpc_port", "remembers"},
}


def test_every_function_class_and_constant_is_used() -> None:
    """By its name, anywhere in the package: what is left over after a change would otherwise stay."""
    used: set[str] = set()
    defined: dict[str, str] = {}
    for path in MODULES:
        if path.stem.endswith("_pb2"):
            continue
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                used.add(node.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                used.add(node.attr)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                defined[node.name] = f"{name_of(path)}:{node.lineno}"
        for node in tree.body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            defined |= {
                each.id: f"{name_of(path)}:{node.lineno}" for each in targets if isinstance(each, ast.Name)
            }
    pages = "".join(path.read_text() for path in PACKAGE.rglob("*.html"))
    exempt = set().union(*USED_ELSEWHERE.values())
    unused = {
        name: where
        for name, where in defined.items()
        if name not in used | exempt and not name.startswith("__") and not re.search(rf"\b{name}\b", pages)
    }
    assert unused == {}
    assert exempt <= defined.keys() - used, "used, or gone"


def test_no_two_public_classes_share_a_name() -> None:
    places: dict[str, set[str]] = {}
    for path in MODULES:
        if path.is_relative_to(PACKAGE):
            for node in parsed(path).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places.setdefault(node.name, set()).add(name_of(path))
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_the_table_of_rooms_is_what_the_modules_say() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == written_again(page), "docs/architecture.md: run `make config`"
    assert page.count(BEGIN) == page.count(END) == 1
