"""The HTTP interface to clients: ASGI routes, and errors as replies.

app            the data plane as one ASGI application
routes         requests other than programs' calls, as a Starlette application
endpoint       the endpoint of an operation: a request → a call, its answer → a reply or a stream
request_body   the body of a request, within its limit
head           the headers of replies to calls
stream         a streamed reply: events, keep-alive comments, and its end
disconnect     cancels a call when its client leaves
reply          whole replies as ASGI messages
errors         errors as replies
source         the client's address and the path
other_apis     what callers of other APIs should do instead
azure_path     the model in the path of Azure's API
account        usage, quotas, balance and workspaces, for callers
batch_routes   the paths of files, uploads and batches
batch_requests  the caller, the JSON body and the page of a request about them
files          files, with their content
uploads        files that are sent in parts
batches        batches: create, list, cancel, resume
form           forms with one file, as a stream
form_parser    parses multipart/form-data piece by piece
stored_responses  stored responses by their ids: show, delete, list what led to them
item_pages     pages of their items
conversations  conversations: create, change, delete, and their items
openrouter     credits and limits of the key, for OpenRouter's clients
generations    the result of a call by the id of its reply, for clients of OpenRouter and Lunos
usage_views    JSON of usage and quotas
models         the lists of models, and health
model_views    JSON of models
anthropic_models  the lists of models in Anthropic's format
codex_models      the list of models in Codex's format
ollama         the list of models in Ollama's format
route_models   routes as entries in the lists of models
admin          the admin API
console        the dashboard
"""
