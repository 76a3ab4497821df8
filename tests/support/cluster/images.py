"""The images of the cluster's pods, as archives for containerd: no registry is asked.

The gateway's is built from the checkout's Dockerfile by a container engine of our own, once for a state of
the sources: the archive is kept in the user's cache, also that of the image that other tests have built.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from tests.support.cluster.build import cache, programs
from tests.support.container_engine import (
    BASE_IMAGE,
    IMAGE,
    PROGRAMS,
    ROOT,
    Engine,
    make_base_image,
    require_programs,
    running,
)

# What the Dockerfile takes from the checkout.
_TAKEN = ("Dockerfile", "requirements", "pyproject.toml", "README.md", "LICENSE", "gateway", "config")


def gateway_archive() -> Path:
    """Return the archive of this checkout's image; builds it where there is none."""
    archive = _kept()
    if not archive.exists():
        require_programs(*PROGRAMS)
        # A short path: that of a socket has 108 bytes at most.
        folder = Path(tempfile.mkdtemp(prefix="engine-", dir="/tmp"))
        try:
            with running(folder) as engine:
                make_base_image(engine, folder)
                build = ("build", "--build-arg", f"PYTHON_IMAGE={BASE_IMAGE}", "--network", "host")
                engine.docker(*build, "-t", IMAGE, ".", seconds=1800)
                keep(engine)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return archive


def keep(engine: Engine) -> None:
    """Keep the image that this engine has built from the checkout, and no older one."""
    archive = _kept()
    if archive.exists():
        return
    archive.parent.mkdir(parents=True, exist_ok=True)
    for old in archive.parent.iterdir():
        old.unlink()
    new = archive.with_name(f"{archive.name}.{os.getpid()}")
    engine.docker("save", "-o", new, IMAGE)
    new.rename(archive)


def _kept() -> Path:
    told = hashlib.sha256()
    for name in _TAKEN:
        for path in sorted([ROOT / name, *(ROOT / name).rglob("*")]):
            if path.is_file() and "__pycache__" not in path.parts:
                told.update(f"{path.relative_to(ROOT)}\0".encode())
                told.update(hashlib.sha256(path.read_bytes()).digest())
    return cache().parent / "images" / f"gateway-{told.hexdigest()[:16]}.tar"


def pause_archive(folder: Path) -> Path:
    """Return an archive of the image for sandboxes, pause:local."""
    return built_archive(folder, "pause")


def built_archive(folder: Path, name: str) -> Path:
    """Return an archive of the image NAME:local: one program of the cluster's own."""
    return _archive(folder, name, {f"/{name}": programs() / name}, f"/{name}")


def program_archive(folder: Path, name: str, program: str) -> Path:
    """Return an archive of the image NAME:local: one program of this machine, with the libraries it loads."""
    said = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    libraries = re.findall(r"(?:=> |^\t)(/\S+)", said, re.MULTILINE)
    return _archive(folder, name, {path: Path(path) for path in (program, *libraries)}, program)


def _archive(folder: Path, name: str, files: dict[str, Path], entrypoint: str) -> Path:
    layer = _tar({path.lstrip("/"): source.read_bytes() for path, source in files.items()}, mode=0o755)
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": [entrypoint], "User": "65535:65535"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [f"{name}:local"], "Layers": ["layer.tar"]}]
    archive = folder / f"{name}.tar"
    archive.write_bytes(
        _tar(
            {
                "layer.tar": layer,
                "config.json": json.dumps(config).encode(),
                "manifest.json": json.dumps(manifest).encode(),
            }
        )
    )
    return archive


def _tar(files: dict[str, bytes], mode: int = 0o644) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), mode
            tar.addfile(member, io.BytesIO(content))
    return made.getvalue()
