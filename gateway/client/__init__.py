"""The data path: a client's connection, and one exchange with the upstream at a time."""
