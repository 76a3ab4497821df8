"""The one place that names the version, and the interpreter that runs it."""

import platform

VERSION = "0.1.0"
PYTHON = platform.python_version()
