"""OpenAI's Responses API for what chat completions lacks: web search, reasoning with tools, models that are only there.

The provider in `openai/` chooses it for a call, by the quirks of its row and the rule of the model. The request is
first built as a chat completion, with all quirks of the provider, and then translated. A request that its caller sent
in this dialect goes on as it is.

request            translates the body of a chat completion
messages           messages as input items
parts              content parts
tools              tools, the tool choice, web search
reasoning_replay   encrypted reasoning of earlier turns
native             requests in their caller's own dialect
completion         a complete reply
stream             a streamed reply
output_items       the items of a streamed reply
usage              token counts and searches
failure            failed responses
"""
