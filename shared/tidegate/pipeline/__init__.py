"""The steps of a call over the ports; `gateway.py` puts them in order.

components     everything that a call needs, composed once per process
plan           what is decided once for all calls of one caller to one model
answer         what a call returns to its endpoint
dispatch       tries candidates and their deployments until one begins to answer: fallback, retry
prepare        translates a call for one deployment and reserves its worst case
attempt        opens one attempt, and records its failure; closes what a call has opened
hedging        the race between a slow deployment and its hedge
respond        a provider's reply → the caller's: stamped and billed
check_output   guardrails on the answer
settle         the bill, the record and the budget alerts
observation    the state of a call in progress, which becomes its outcome
trace          the content of a call, recorded and stored where it has a trace
trace_attempt  an attempt of a call in its trace: request and reply
trace_answer   the answer of a call in its trace
trace_mask     masks a trace with guardrails before it is stored
kept_responses  stored responses: what a request refers to, and what a later one may go on from
shield         work that no cancellation interrupts
lazy_reuse     loads `reuse` with the first call that needs it
reuse          replies given again: the cache and idempotency keys
count_tokens   the input tokens of a call, without answering it
dry_run        reports what a call would do, without making it
"""
