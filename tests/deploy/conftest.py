"""One engine and one build of the image for all tests of the deployment."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster.images import keep
from tests.support.container_engine import (
    BASE_IMAGE,
    EMULATOR_IMAGE,
    IMAGE,
    PROGRAMS,
    Engine,
    make_base_image,
    require_programs,
    running,
)


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """With the images built from this checkout's Dockerfiles."""
    require_programs(*PROGRAMS)
    directory = Path(tempfile.mkdtemp(prefix="engine-", dir="/tmp"))
    try:
        with running(directory) as engine:
            make_base_image(engine, directory)
            build = ("build", "--build-arg", f"PYTHON_IMAGE={BASE_IMAGE}", "--network", "host")
            for image, file in ((IMAGE, "Dockerfile"), (EMULATOR_IMAGE, "local_cognito/Dockerfile")):
                engine.docker(*build, "-t", image, "-f", file, ".", seconds=1200)
            keep(engine)
            yield engine
    finally:
        shutil.rmtree(directory, ignore_errors=True)
