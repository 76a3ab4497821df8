"""As much of IAM and STS as an identity pool needs: roles, and who the credentials it gave belong to."""
