"""The commands: one file each, with its flags and its code.

registry.py expects three names in such a file: `EXAMPLE`, the command line at the end of its help;
`add_flags`, which adds its flags to a parser; and `run`, which takes the arguments and the environment and
returns the exit code. A file is imported when its command is used, and imports slow modules when it runs, so
that `--help` stays fast. Only cli.py reads the environment and argv.
"""
