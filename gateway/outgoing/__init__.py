"""Connections that the gateway makes itself: what all of them verify, and the way out to AWS."""
