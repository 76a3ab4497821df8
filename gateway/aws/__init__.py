"""The adapters over the AWS API; the only room that imports boto3, loaded only by the commands that need it."""
