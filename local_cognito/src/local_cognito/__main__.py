"""`python -m local_cognito` is the command `local-cognito`."""

import sys

from local_cognito.cli import main

sys.exit(main())
