"""An emulator of Amazon Cognito for development and tests, with a sample API to put behind a gateway."""
