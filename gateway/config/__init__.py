"""Configuration: a YAML file, the environment and flags become one frozen `Config`, or a list of mistakes.

source (text → nodes with lines) → overrides → validate (nodes → typed values, by the schema) → checks (values
against each other and the machine) → complete (values → model.Config). `load` is the entry point.
"""

# The prefix of every variable that sets a key; FILE_VARIABLE names the file instead.
PREFIX = "COGNITO_GATEWAY_"
FILE_VARIABLE = "COGNITO_GATEWAY_CONFIG"
