"""The one way to Redis, for what replicas share."""
