"""Anthropic's Messages API for clients, in front of every provider. `late_dialects.py` has its `Surface`. Pure.

request         a request → a chat request, with its origin
conversation    the system and the turns → messages
blocks          content blocks of users and of tools → parts
assistant_turn  an assistant's turn → a message
tools           tools and the tool choice
portable        a translated request without what only Anthropic knows
reply           a completion → a message
stream          chunks → events
content         reasoning and tool calls → content blocks
citations       annotations → citations
notes           what the reply depends on beside the completion
own_marks       a body for Anthropic without the gateway's marks
usage           token counts and the reason for the end
errors          errors in Anthropic's envelope, with its statuses
"""
