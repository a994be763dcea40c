"""Services that check texts for guardrails.

backends   port `GuardrailBackend`: loads the service of a guardrail, and limits its time
client     the client that requests to these services are sent with
bedrock    Amazon Bedrock's ApplyGuardrail
webhook    a POST to a webhook of the operator or the workspace
"""
