"""Revocation: checks with Cognito, in the background, whether it still accepts the sign-ins in use."""
