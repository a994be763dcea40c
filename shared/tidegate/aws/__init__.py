"""The ports, in DynamoDB and Secrets Manager."""
