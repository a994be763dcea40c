"""The services that judge texts for guardrails: Bedrock and webhooks."""
