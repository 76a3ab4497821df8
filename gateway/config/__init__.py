"""Configuration: a YAML file, the environment and flags become one frozen `Config`, or a list of mistakes.

source (text → nodes with lines) → overrides → validate (nodes → typed values, by the table) → checks
(values against each other and the machine) → complete (values → model.Config). `load` is the door.
"""
