"""The gate: who asks, and may they. The order of the checks stands here once."""
