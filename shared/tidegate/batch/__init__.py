"""Batches: files of requests in, every answer out exactly once, within budget. It runs calls over the gateway's path.

announcements tells the event bus and the webhook that a batch has ended
callers       decides who pays for a batch
components    the ports and settings of the engine, in one value
engine        takes one message of the queue, and does the step that it names
feeder        gives parts to workers, in windows
keys          the names of objects in the bucket
lines         cuts input into lines, and checks each
messages      the messages between the steps
ports         what the engine needs of stores, queues and event buses
ranges        the places of parts in the input
results       lines of output and error files, and of the journal
transitions   changes of a stored batch
webhook       sends events to webhooks of workspaces, signed and repeated
"""
