"""The version, in the one place where it is written: the distribution's too."""

VERSION = "0.1.0"
