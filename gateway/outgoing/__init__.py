"""Outgoing connections to AWS: sessions, proxy and trusted CAs."""
