"""Amazon Bedrock's Converse and ConverseStream: chat requests to their JSON, and replies to OpenAI's dialect.

provider          the `Provider`: URL, credentials, and the functions below
request           a chat request → the request's body
request_builder   the body in progress, and the fields that were not translated
messages          messages → `system` and turns of user and assistant
parts             content parts → content blocks
media             images, documents, audio and video → blocks with a format and a source
reasoning_replay  reasoning ↔ `reasoning_details`, with signatures
tools             tools, tool choice and `response_format`
schemas           JSON Schema → the subset that Bedrock enforces
thinking          `reasoning` → the fields of each model family
capabilities      what each model accepts, by id
completion        a reply → a completion
stream            a streamed reply → chunks
invoke            Claude in Anthropic's dialect: InvokeModel
normalise         finish reasons, usage, service tiers, citations and images of replies
failure           error replies and exceptions in streams → `UpstreamError`
"""

from tidegate.providers.bedrock.provider import PROVIDER

__all__ = ["PROVIDER"]
