"""The adapters over the AWS API; the only room that imports boto3, loaded only when used."""
