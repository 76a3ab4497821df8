"""The part of IAM and STS that an identity pool needs: roles, and the identity behind issued credentials."""
