"""Batches: files of requests in, every answer out exactly once, within budget. It runs calls over the gateway's path.

components    the ports and settings of the engine, in one value
engine        takes one message of the queue, and does the step that it names
keys          the names of objects in the bucket
lines         cuts input into lines, and checks each
messages      the messages between the steps
ports         what the engine needs of stores, queues and event buses
results       lines of output and error files, and of the journal
transitions   changes of a stored batch
"""
