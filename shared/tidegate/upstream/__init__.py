"""HTTP to providers, to guardrail services and to the operator's collector.

attempt             one request to one deployment, and its reply
remembered_headers  the headers that were last sent to each URL with each key
reply_stream        a streamed reply: its bytes become batches of chunks
further             a call that is sent in several requests
local_models        the models of providers on this machine, as each lists them
sse                 the decoder for server-sent events, pure
eventstream         the decoder for AWS event streams, pure
otlp                the sender of finished calls to an OpenTelemetry collector
otlp_json           spans and measurements in the JSON of OTLP, pure
guardrails          the services that judge texts
"""
