"""How many connections there may be: of the kernel's files, the descriptors and the configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config.load import load
from gateway.config.model import Config
from gateway.serve.capacity import MIB, capacity, memory_limit

CHART = 256 * MIB
MANY = 1 << 20
# What a connection is held to (docs/scaling.md).
WITH_TLS = 40 * 1024


def config(folder: Path, listen: str = "", upstream: str = "", more: str = "") -> Config:
    file = folder / "gateway.yaml"
    file.write_text(f"listen: {{address: '127.0.0.1:0', {listen}}}\nupstream: {{{upstream}}}\n{more}")
    return load(file, {}).config


def test_the_memory_that_the_chart_grants_holds_all_that_is_allowed(tmp_path: Path) -> None:
    fit = capacity(config(tmp_path), workers=1, memory=CHART, descriptors=MANY)
    assert fit.bytes is not None
    assert 64 < fit.connections * WITH_TLS <= fit.bytes
    # With what a process takes that has shown its pages, which is 85 MiB.
    assert fit.bytes + fit.tokens + 85 * MIB <= CHART
    assert fit.warning is None


def test_without_a_limit_there_are_as_many_as_before(tmp_path: Path) -> None:
    fit = capacity(config(tmp_path), workers=1, memory=None, descriptors=MANY)
    assert (fit.connections, fit.bytes, fit.tokens) == (16_384, None, 160 * MIB)


def test_a_number_is_kept_whatever_the_memory(tmp_path: Path) -> None:
    fit = capacity(config(tmp_path, "max_connections: 9000"), workers=1, memory=CHART, descriptors=MANY)
    assert (fit.connections, fit.warning) == (9_000, None)


def test_workers_share_the_memory(tmp_path: Path) -> None:
    alone = capacity(config(tmp_path), workers=1, memory=1024 * MIB, descriptors=MANY)
    shared = capacity(config(tmp_path), workers=4, memory=1024 * MIB, descriptors=MANY)
    assert shared.connections < alone.connections / 4
    assert shared.tokens < alone.tokens


def test_more_memory_is_more_connections_up_to_a_bound(tmp_path: Path) -> None:
    sizes = [64, 128, 256, 512, 1024, 4096]
    fits = [
        capacity(config(tmp_path), workers=1, memory=size * MIB, descriptors=MANY).connections
        for size in sizes
    ]
    assert fits == sorted(fits)
    assert (fits[0], fits[-1]) == (64, 16_384)


@pytest.mark.parametrize(
    ("listen", "descriptors", "expected", "told"),
    [
        ("max_connections: 5000", 20_000, 5000, None),
        # Each may need one to the upstream as well.
        ("max_connections: 5000", 4_000, 2848, "4000 open files leaves room for 2848 client connections"),
        ("max_connections: 5000", 1_024, 448, "not 5000: raise the limit"),
        ("max_connections: auto", 1_024, 448, None),
        ("max_connections: auto", 200, 36, "200 open files leaves room for 36 client connections"),
        ("max_connections: 0", 4_000, 2848, None),
    ],
)
def test_descriptors_bound_it(
    tmp_path: Path, listen: str, descriptors: int, expected: int, told: str | None
) -> None:
    fit = capacity(config(tmp_path, listen), workers=1, memory=None, descriptors=descriptors)
    assert fit.connections == expected
    assert (fit.warning is None) if told is None else (told in (fit.warning or ""))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "max\n"}, None),
        ({"/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "268435456\n"}, CHART),
        # The narrowest of the cgroups above ours counts.
        (
            {
                "/proc/self/cgroup": "0::/kubepods/pod1/c1\n",
                "/sys/fs/cgroup/kubepods/pod1/c1/memory.max": "max\n",
                "/sys/fs/cgroup/kubepods/pod1/memory.max": "268435456\n",
                "/sys/fs/cgroup/kubepods/memory.max": "8589934592\n",
            },
            CHART,
        ),
        (
            {
                "/proc/self/cgroup": "4:cpu,cpuacct:/docker/abc\n3:memory:/docker/abc\n",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes": "268435456\n",
            },
            CHART,
        ),
        # Version 1 has no word for none.
        (
            {
                "/proc/self/cgroup": "3:memory:/\n",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            },
            None,
        ),
    ],
)
def test_the_memory_limit_is_the_cgroups(files: dict[str, str], expected: int | None) -> None:
    assert memory_limit(files.get) == expected
