"""An emulator of Amazon Cognito for development and tests, and a sample API to put a gateway in front of."""
