"""Batches: files of requests in, every answer out exactly once, within budget. It runs calls over the gateway's path.

announcements  tells the event bus and the webhook that a batch has ended
batches       batches of workspaces
callers       decides who pays for a batch
claim         claims parts for workers, and settles what dead ones have left
components    the ports and settings of the engine, in one value
composition   joins the results of all parts, and ends the batch
conclusion    announces the end of a batch, and deletes its temporary objects
digests       finds repeated custom ids in little memory
direct        answers the requests in the payload of an invocation
dropped_objects  makes batches of dropped objects, or moves them away
endpoints     the endpoints that lines may name
engine        takes one message of the queue, and does the step that it names
event_log     events in the log
feeder        gives parts to workers, in windows
fields        fields of requests about files and batches
file_cleanup  deletes the contents of expired files
file_content  receives the content of a file
files         files of workspaces
findings      collects what validation finds, and stores it
idempotent_creation  creates one batch for an idempotency key
intake        takes messages with a request, or with the name of an object
journal       answers on record
keys          the names of objects in the bucket
line_call     one line as a call
lines         cuts input into lines, and checks each
messages      the messages between the steps
pace          how fast a worker asks each provider
part_answers  keeps the answers of a part, large ones in the journal alone
part_end      ends or returns parts
part_ledger   one hold for all lines of a part
part_meter    collects the outcomes of lines
part_results  appends the results of parts to the files
part_run      answers the lines of a part
part_settlement  settles the lines of a part as one
part_worker   asks the lines of a part, many at once
pauses        ends pauses whose reason is gone
ports         what the engine needs of stores, queues and event buses
provider_jobs/  uses providers' own batch APIs, at half the price
ranges        the places of parts in the input
results       lines of output and error files, and of the journal
settled_lines  settles many lines as one: record, counters, hold
single_calls  answers one request of an event
storage       what workspaces store, and its limits
steps         steps that one process at a time may do
sweep         looks after all open batches
transitions   changes of a stored batch
validation    checks the input, and divides it into parts
uploads       files that arrive in parts
views         files, uploads and batches as JSON
webhook       sends events to webhooks of workspaces, signed and repeated
whole_reply   the reply to a call that does not stream
workspace_cleanup  deletes the files and batches of a workspace
"""
