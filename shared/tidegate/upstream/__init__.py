"""HTTP to providers and to guardrail services.

attempt       one request to one deployment, and its reply
local_models  the models of providers on this machine, as each lists them
sse           the decoder for server-sent events, pure
eventstream   the decoder for AWS event streams, pure
guardrails    the services that judge texts
"""
