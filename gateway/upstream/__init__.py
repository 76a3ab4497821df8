"""The upstream: connection pool, connections, responses, and fair shares of them."""
