"""cognito-gateway: Amazon Cognito in front of any HTTP API."""
