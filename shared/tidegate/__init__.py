"""Tidegate: an OpenAI-compatible gateway to every large-model provider, inside your own AWS account.

The rooms, from top to bottom. Imports point down only (`lint-imports` checks it); lines are layers:

functions                      the Lambda functions: wiring only (outside this package)
local                          the server on one machine
cli                            the command line
sqlite                         the table of `aws` on this machine: SQLite instead of DynamoDB, files instead of S3
server                         an HTTP server for ASGI applications, on one machine
api, runtime, aws, memory      what clients speak to; Lambda's Runtime API; the ports in AWS, and in dictionaries
batch                          the batch engine: files of requests, answered over the path of a call
compose                        composes a gateway from settings, connections and stores
gateway, settings, control     the path of one call; the only reader of the environment; the operator's use cases
pipeline                       the steps of a call, over the ports
policy, upstream, identity     decisions; HTTP to providers and guardrail services; access tokens
transport                      outgoing HTTP: one protocol over three libraries, and signatures for AWS
providers, surfaces, ports     providers' and clients' dialects, both pure; protocols of stores and outside services
embeddings, moderations, rerank  the operations on texts: vectors, verdicts, the order of documents
texts                          what operations on texts share
chat                           the inner dialect, OpenAI's, and the operation chat
catalog                        models and prices as data
domain                         frozen values and the rules about them, the protocols of operations and surfaces
errors, json, lazy, offload    the error tree; the JSON codec; the loader of modules that only some calls need; threads
call_line                      log lines of calls
timer                          one timer for all time limits of an event loop
garbage_collection             how Python collects garbage in a process that serves
"""

__version__ = "0.1.0"
