"""The local Cognito and the sample API: what `demo`, `local-cognito` and the tests talk to instead of AWS."""
