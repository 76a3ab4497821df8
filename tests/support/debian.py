"""A minimal Debian, created by mmdebstrap: the base of images, and a machine without anything installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

# The machine's settings for reaching its package index, if any.
_CARRIED = (Path("/etc/ssl/certs/ca-certificates.crt"), Path("/etc/pip.conf"))
_NETWORK = (Path("/etc/resolv.conf"), Path("/etc/hosts"))
# Environment variables for the same purpose: settings of pip, certificates, proxies.
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
    """Create Debian 12 with these packages and their dependencies, in a directory or a .tar file."""
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
    """Run commands in a root that shares only the network with this machine; its processes end with it."""

    def __init__(self, root: Path, packages: Sequence[str]) -> None:
        make_debian(root, packages)
        self.root = root
        self.environ = {
            "HOME": "/root",
            "LANG": "C.UTF-8",
            "PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            **{name: value for name, value in os.environ.items() if name.startswith(_VARIABLES)},
        }
        # This machine's directory does not exist there.
        self.environ.pop("PIP_FIND_LINKS", None)
        for path in _NETWORK:
            shutil.copyfile(path, root / path.relative_to("/"))

    def command(self, script: str, *, cwd: str = "/root", **environ: str) -> list[str | Path]:
        """Return the command that runs these lines there, in a shell without settings."""
        variables = [f"{name}={value}" for name, value in (self.environ | environ).items()]
        return [
            *("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-euc", _MOUNTS, self.root),
            *(*variables, "bash", "-euc", f"cd {cwd}\n{script}"),
        ]

    def run(
        self, script: str, *, cwd: str = "/root", stdin: str = "", **environ: str
    ) -> subprocess.CompletedProcess[str]:
        """Run lines to their end. Raises AssertionError if they fail."""
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
