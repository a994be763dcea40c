"""OpenAI's Responses API for clients, in front of every provider. `late_dialects.py` has its `Surface`. Pure.

state_fields   reads what a request says of responses and conversations that are kept
"""
