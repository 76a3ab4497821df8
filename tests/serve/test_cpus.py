"""How many workers `auto` makes, from the texts of the kernel's files."""

from __future__ import annotations

import pytest

from gateway.serve.cpus import cpus, usable_cpus

V1 = "4:cpu,cpuacct:/docker/abc\n3:memory:/docker/abc\n"


@pytest.mark.parametrize(
    ("files", "affinity", "expected"),
    [
        ({}, 4, 4),
        ({"/proc/self/cgroup": "0::/\n"}, 4, 4),
        ({"/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "max 100000\n"}, 4, 4),
        ({"/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "200000 100000\n"}, 4, 2),
        ({"/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "250000 100000\n"}, 4, 2),
        ({"/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "50000 100000\n"}, 4, 1),
        ({"/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "900000 100000\n"}, 2, 2),
        # The narrowest of the cgroups above ours counts, whichever it is.
        (
            {
                "/proc/self/cgroup": "0::/kubepods/pod1/c1\n",
                "/sys/fs/cgroup/kubepods/pod1/c1/cpu.max": "max 100000\n",
                "/sys/fs/cgroup/kubepods/pod1/cpu.max": "300000 100000\n",
                "/sys/fs/cgroup/kubepods/cpu.max": "800000 100000\n",
            },
            16,
            3,
        ),
        (
            {
                "/proc/self/cgroup": V1,
                "/sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us": "300000\n",
                "/sys/fs/cgroup/cpu/docker/abc/cpu.cfs_period_us": "100000\n",
            },
            8,
            3,
        ),
        # Inside a container the path is the host's, and the files lie at the root of the mount.
        (
            {
                "/proc/self/cgroup": V1,
                "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "150000\n",
                "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            8,
            1,
        ),
        (
            {
                "/proc/self/cgroup": V1,
                "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            8,
            8,
        ),
        ({"/proc/self/cgroup": "nonsense\n\n0::\n", "/sys/fs/cgroup/cpu.max": "x y z\n"}, 3, 3),
        ({"/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "100000 0\n"}, 3, 3),
    ],
)
def test_the_least_of_affinity_and_quotas(files: dict[str, str], affinity: int, expected: int) -> None:
    assert cpus(files.get, affinity) == expected


def test_this_machine() -> None:
    assert usable_cpus() >= 1
