"""Services that check texts for guardrails.

backends   port `GuardrailBackend`: loads the service of a guardrail, and limits its time
bedrock    Amazon Bedrock's ApplyGuardrail
webhook    a POST to a webhook of the operator or the workspace
"""
