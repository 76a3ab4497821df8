"""The upstream: its connections, its responses, who may have how many."""
