"""A bare Debian, made by mmdebstrap: the base of images, and the machine of somebody who has nothing yet."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

# The machine's settings for reaching its package index, if any.
_CARRIED = (Path("/etc/ssl/certs/ca-certificates.crt"), Path("/etc/pip.conf"))
_NETWORK = (Path("/etc/resolv.conf"), Path("/etc/hosts"))
# Variables of the same kind: settings of pip, roots, proxies.
_VARIABLES = ("PIP_", "SSL_CERT_FILE", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy")
_MOUNTS = """
mount -t proc proc "$0/proc"
for each in null zero full random urandom tty pts shm; do
  [ -e "$0/dev/$each" ] || if [ -d "/dev/$each" ]; then mkdir "$0/dev/$each"; else touch "$0/dev/$each"; fi
  mount --bind "/dev/$each" "$0/dev/$each"
done
exec chroot "$0" env -i "$@"
"""


def make_debian(target: Path, packages: Sequence[str], hooks: Sequence[str] = ()) -> None:
    """Make Debian 12 with these packages and what they cannot do without: in a folder, or in a .tar file."""
    carried = [f"upload {path} {path}" for path in _CARRIED if path.exists()]
    subprocess.run(
        [
            # In its own session: mmdebstrap signals its whole process group when it is done.
            *("setsid", "--wait", "mmdebstrap", "--quiet", "--variant=apt"),
            f"--include={','.join(packages)}",
            *(f"--customize-hook={hook}" for hook in (*hooks, *carried)),
            *("bookworm", target),
        ],
        check=True,
        timeout=900,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )


class Machine:
    """A root whose commands see nothing of this machine but its network; their processes end with them."""

    def __init__(self, root: Path, packages: Sequence[str]) -> None:
        make_debian(root, packages)
        self.root = root
        self.environ = {
            "HOME": "/root",
            "LANG": "C.UTF-8",
            "PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            **{name: value for name, value in os.environ.items() if name.startswith(_VARIABLES)},
        }
        # A folder of this machine is not there.
        self.environ.pop("PIP_FIND_LINKS", None)
        for path in _NETWORK:
            shutil.copyfile(path, root / path.relative_to("/"))

    def command(self, script: str, *, cwd: str = "/root", **environ: str) -> list[str | Path]:
        """What runs these lines there, in a shell without settings."""
        variables = [f"{name}={value}" for name, value in (self.environ | environ).items()]
        return [
            *("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-euc", _MOUNTS, self.root),
            *(*variables, "bash", "-euc", f"cd {cwd}\n{script}"),
        ]

    def run(
        self, script: str, *, cwd: str = "/root", stdin: str = "", **environ: str
    ) -> subprocess.CompletedProcess[str]:
        """Run lines that end by themselves; AssertionError where they fail."""
        done = subprocess.run(
            self.command(script, cwd=cwd, **environ),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        assert done.returncode == 0, f"{script}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done
