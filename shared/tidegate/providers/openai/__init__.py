"""OpenAI's chat dialect as providers really speak it: requests out, replies and failures back into one shape.

provider           the `Provider` for a row of `compatible.py`
quirks             how a provider's dialect differs from OpenAI's, as data
capabilities       rules for OpenAI's own models, shared with Azure
request            builds the request body
request_builder    the request being built
messages           messages as strict providers accept them
parts              content parts: documents, files, `cache_control`
tools              tools, the tool choice, web search
tool_names         tool names that strict providers accept
thinking           the request for reasoning
legacy_functions   the deprecated `functions` as tools
completion         a complete reply
stream             a streamed reply
choice_stream      one choice of a streamed reply
plain              exact schemas of usual replies
normalise          pieces shared by complete and streamed replies
toolcalls          tool calls in replies
think_tags         separates `<think>…</think>` from the answer
usage              token counts
failure            classifies failures
error_body         parses the body of a failure
retry_after        how long a provider asks to wait
"""
