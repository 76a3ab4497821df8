"""What can be typed: each command's flags, and what it hands to the room that does the work.

Nothing below cli.py reads the environment or argv: commands are given both. What a command needs is imported
when it runs, so that `version` costs nothing.
"""
