"""Entry point of `python -m local_cognito`: the command `local-cognito`."""

import sys

from local_cognito.cli import main

sys.exit(main())
