"""Forward auth: pure, on sockets, over gRPC, and behind the real proxies."""

import pytest

# Its assertions are the tests' own.
pytest.register_assert_rewrite("tests.support.behind")
