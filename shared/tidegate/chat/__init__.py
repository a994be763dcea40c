"""OpenAI's chat dialect: the chat request, the completion and its chunks, and server-sent events.

assemble    the chunks of a stream → one completion
completion  a completion and its chunks, as on the wire
estimate    token counts without a tokenizer
media       media types, and the content of data URIs
messages    the messages of a request
parse       the body of a request → a validated `ChatRequest`, or a 400
reasoning   the fields that ask for reasoning → one `Reasoning`
replay      one completion → the chunks of a stream
request     a chat request: its validated fields and its raw body
sse         server-sent events to clients
"""
