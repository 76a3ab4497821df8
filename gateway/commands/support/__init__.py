"""Support for commands: the parser, common flags, the console, and signing in at the terminal."""
