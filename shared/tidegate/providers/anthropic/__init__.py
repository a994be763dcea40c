"""Anthropic's Messages API: chat requests to its JSON, and its replies to OpenAI's dialect.

provider          the `Provider`: URL, headers, and the functions below
request           a chat request → the request's body
request_builder   the body in progress, and the fields that were not translated
messages          messages → `system` and turns of user and assistant
parts             content parts → content blocks
reasoning_replay  thinking that the client sends back → signed blocks
tools             tools, tool choice and web search
structure         `response_format` → native structured output, or a tool
schema            JSON Schema → the subset that Anthropic enforces
thinking          `reasoning` → a token budget or adaptive thinking
sampling          temperature, top_p, top_k and stop sequences
capabilities      what each Claude model accepts, by name
completion        a reply → a completion
stream            a streamed reply → chunks
native            requests in Anthropic's own dialect, as their callers sent them
normalise         pieces that `completion` and `stream` share
usage             token counts, service tier and finish reason
failure           error replies → `UpstreamError`
"""

from tidegate.providers.anthropic.provider import PROVIDER

__all__ = ["PROVIDER"]
