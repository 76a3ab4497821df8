"""Access to Redis, which holds what replicas share."""
