"""Managed login: the endpoints of a user pool's domain. Here the domain is this server's own address."""
