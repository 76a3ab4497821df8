"""The version of the gateway and of the Python interpreter."""

import platform

VERSION = "0.1.0"
PYTHON = platform.python_version()
