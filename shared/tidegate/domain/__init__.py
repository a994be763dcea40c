"""Frozen values of the gateway itself, and the rules that concern only them.

account            the account of a workspace or key: used and held amounts, and when a limit is exceeded
aggregate          sums of call records by all that an overview filters and groups by
aggregate_document  aggregates as compressed documents
batch              files, uploads, batches and their parts
batch_options      the settings of batches
batch_retention    how long files, uploads, batches and parts are stored
budget_alerts      alerts at 50, 80 and 100 % of a budget
call               one call before the provider, and its outcome
call_event         what happens in a call, and the timeline in its record
deployment         a model at one provider; the configuration of a provider
gateway_fields     the fields of a request that are the gateway's own and never reach a provider
guardrails         guardrails, their findings and verdicts
histogram          histograms of durations, and their percentiles
idempotency        claims to idempotency keys
identity           the OIDC issuer, and the identity in an access token
ids                ULIDs, which sort by time; random letters and digits
keys               secrets of virtual keys, and keys of OIDC subjects
internal_error     the error that callers get for a bug of the gateway
limit_error        which limit a call exceeds, and the error that says so
limits             rates, budgets and allowed models; days and months
managed_resources  plans, admin keys, members and the audit log
model_names        the plain spelling of a model's name
money              the decimal context of arithmetic with money
operation          operations, such as chat: their requests, and what the gateway reads in replies
origin             the request as its caller sent it, in another dialect than the operation's inner one
otel               OpenTelemetry's view of a finished call: its spans and the table of their attributes
otel_metrics       OpenTelemetry's client metrics of a finished call
provider_pace      the pace of batches at a provider
record             the record of a call, and the counters of a period
redacted           the mixin that hides secrets in `repr()`
response_state     a stored response, and the conversation that led to it
restrictions       networks and endpoints that a key is limited to
routes             routes, their targets and their validation
server_options     options of the data plane's HTTP server
settlement         all that is written when a call has ended
shards             the shards of an account as one, an amount divided among them, and overdue holds
stored_reply       a reply for the cache or an idempotency key
surface            a client's dialect, as a protocol
timed_cache        a bounded cache whose entries age by two clocks
timeouts           timeouts of providers, by model
folded_stream      a stream's pieces without what they have in common, as traces store it
trace              the content of a call: requests, replies and their times
trace_view         the trace of a call as JSON
traceparent        W3C's Trace Context: the headers that name a call's place in a distributed trace
usage              token counts, word counts and the bill
webhook            signatures of webhooks by the Standard Webhooks specification
wordbreak          Unicode's word-break classes, generated
words              word counts by Unicode's rules
workspace          workspaces, virtual keys and principals
"""
