"""Fuzzing: requests, providers' replies and calls of the admin API that nobody would write, over the app in memory.

mutations       JSON and bytes, changed at random
dialects        requests and replies of every dialect besides chat completions
requests        requests of every endpoint
batch_requests  requests about files, uploads and batches
state_requests  requests about stored responses and conversations
replies         providers' replies of every dialect
shapes          the shapes of errors and streams that clients of each dialect can read
properties      what must hold of each: no internal error, no task, no hold and little memory left
test_fuzz       a short run with the same examples each time
__main__        `make fuzz`: new examples for ten minutes
"""
