"""`python -m gateway` is the console script `cognito-gateway`."""

import sys

from gateway.cli import main

sys.exit(main())
