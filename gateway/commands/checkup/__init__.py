"""Checks for `doctor`: the configuration against AWS, the key endpoint, the file system and the upstream."""
