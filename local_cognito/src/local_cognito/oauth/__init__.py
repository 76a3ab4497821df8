"""Managed login: the endpoints of a user pool's domain, here at the server's own address."""
