"""Batches on Lambda.

app   the engine's steps, and what starts batches: messages of two queues, events, a schedule and invocations
"""
