"""OpenAI's chat dialect: the chat request, the completion and its chunks, and the operation over them.

operation             chat completions as an `Operation`
request               a chat request: its validated fields and its raw body
fields                the types and ranges of a chat request's fields
parse                 the body of a request → a validated `ChatRequest`, or a 400
messages              the messages of a request
media                 media types, and the content of data URIs
reasoning             the fields that ask for reasoning → one `Reasoning`
estimate              token counts without a tokenizer
text_bound            an upper bound for the tokens of any text
body_bound            an upper bound for the tokens of a body that is sent
media_bound           upper bounds for the tokens of media in it
image_size            the size of an image in pixels
reasoning_order       the place of thinking among the texts and calls of a message
reasoning_estimate    reasoning that is billed and not shown, for calls without usage
worst_case            the tokens and searches that a budget must have room for
completion            a completion and its chunks, as on the wire
assemble              the chunks of a stream → one completion
replay                one completion → the chunks of a stream
guardrail_texts       finds and replaces the texts in requests and completions
otel_messages         the content of a chat as OpenTelemetry's attributes
reasoning_signatures  signed reasoning that clients do not send back
"""
