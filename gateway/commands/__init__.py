"""What can be typed: one file per command, which holds its flags and what it does.

Such a file has three names that registry.py looks for: `EXAMPLE`, the command line that ends its help;
`add_flags`, which adds its flags to a parser; `run`, which is given the arguments and the environment and
returns the exit code. It is imported when its command is asked for, and imports what costs time when it
runs, so that `--help` stays quick. Nothing below cli.py reads the environment or argv.
"""
