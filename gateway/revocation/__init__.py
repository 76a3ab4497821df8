"""Revocation: which sign-ins Cognito no longer accepts; asked in the background, shared by replicas."""
