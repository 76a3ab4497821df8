"""The version of the gateway and of the Python interpreter, and where its documentation is."""

import platform

VERSION = "0.1.0"
# As pyproject.toml has it.
DOCUMENTATION = "https://github.com/cognito-gateway/cognito-gateway/tree/main/docs"
PYTHON = platform.python_version()
