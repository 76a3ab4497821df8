"""What the gateway tells its operator: counters (metrics, exposition) and lines (logs). Base room: it imports
only config and errors, and nothing secret passes through it."""
