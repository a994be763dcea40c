"""OpenAI's Responses API for clients, in front of every provider. `late_dialects.py` has its `Surface`. Pure.

request            a request → a chat request, with its origin
state_fields       reads what a request says of responses and conversations that are kept
items              input items → messages
turns              an assistant's turn → a message, and the results of its calls
parts              content parts
results            results of tools
tools              tools and the tool choice
calls              calls of tools, in both directions
portable           a translated request without what only OpenAI knows
response           the Response object
reply              a completion → a response
stream             chunks → events
native_events      the events of a provider that speaks this dialect
output             the items of a reply and their events
reasoning_output   a reasoning item
message_output     a message item
call_output        an item for a call of a tool
summary_output     the item of a reply that is a summary
summaries          summaries as items
compaction         a conversation → its summary, as one item
event_log          events with their sequence numbers
usage              token counts
errors             errors as replies, and inside a stream
"""
