"""Adapters over the AWS API: the only room that imports boto3, and itself imported only when used."""
