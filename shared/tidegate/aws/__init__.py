"""The ports over AWS: DynamoDB, S3, SQS, Secrets Manager, KMS and EventBridge.

world             what a process opens once: transport, credentials, table, vault
gateway           the gateway of a world
warmup            loads what calls need before there is one
control           the control plane of a world
credentials       AWS credentials from the environment, or from whatever the process has
credential_chain  AWS credentials of a container or of a developer's machine, loaded at first use
values            DynamoDB attribute values ↔ Python values
expressions       DynamoDB conditions, updates and writes as Python expressions
dynamo            a DynamoDB client with short timeouts and few retries
store             the table: consistent reads, conditional writes, one kind of error
table             the keys of all items, and items ↔ values
key_lookup        keys and workspaces, as calls read them
tenants           workspaces, keys and usage, as an operator reads and changes them
resources         the control plane's resources and their audit log
ledger            the accounts of limits
full_shards       a process's memory of shards without headroom
meter             call records and usage counters
counters          usage counters of days, whose hours are added one by one
hour_closer       counts the calls of an hour anew when it is over, and adds them to its day
sweeper           the sweeper of a world: settles lost calls, sends missing budget alerts, prunes accounts
aggregates        aggregates of call records, and the run of their roller
batches           the batch engine of a world
batch_table       files, uploads, batches and their parts
batch_callers     who pays for a batch
cooldowns         deployments that cool down, shared between processes
reply_store       cached replies and idempotency keys
encrypted_items   encrypted contents of workspaces, in the table or as objects
traces            traces of calls, encrypted
response_states   stored responses, encrypted
trace_keys        the keys that encrypt traces and responses, wrapped by KMS or in the table
trace_cipher      AES-256-GCM for traces and responses
bucket            objects in one S3 bucket
s3_client         requests to one S3 bucket, with retries
s3_writer         writes one S3 object piece by piece
batch_objects     objects of files and batches in an S3 bucket
batch_queue       messages in SQS queues
signatures        signed reasoning of tool calls
secrets           provider credentials in Secrets Manager
vault             credentials of workspaces in Secrets Manager
batch_triggers    events that start the batch function on Lambda
message_processor  takes the messages of one event, over Powertools
events            an EventBridge bus, and budget alerts on it
batch_events      events of batches on an EventBridge bus
logs              log lines as JSON
emf               metrics of calls in their log lines
function_log      the log and the metrics of keeper, batches and admin API, over Powertools
"""
