"""The data path: client connections, and one exchange with the upstream at a time."""
