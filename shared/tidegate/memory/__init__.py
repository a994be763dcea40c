"""The ports over dictionaries: for tests, benchmarks, and a gateway whose data may be lost.

world          the gateway and the control plane in memory
tenants        workspaces and keys
resources      the control plane's resources and their audit log
ledger         the accounts of limits
meter          call records and usage counters
aggregates     aggregates of call records, and their roller
cooldowns      deployments that cool down
batches        the batch engine
batch_table    files, uploads, batches and their parts
batch_objects  objects of files and batches
batch_queue    messages of the batch engine
batch_callers  who pays for a batch
reply_store    cached replies and idempotency keys
traces         traces of calls
signatures     signed reasoning of tool calls
vault          credentials of workspaces
"""
