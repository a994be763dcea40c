"""The HTTP interface to clients: ASGI routes, and errors as replies.

app            the data plane as one ASGI application
endpoint       the endpoint of an operation: a request → a call, its answer → a reply or a stream
request_body   the body of a request, within its limit
head           the headers of replies to calls
stream         a streamed reply: events, keep-alive comments, and its end
disconnect     cancels a call when its client leaves
reply          whole replies as ASGI messages
errors         errors as replies
source         the client's address and the path
account        usage, quotas, balance and workspaces, for callers
usage_views    JSON of usage and quotas
models         the lists of models, and health
model_views    JSON of models
route_models   routes as entries in the lists of models
admin          the admin API
"""
