"""Decisions and rules, which may keep small state of their own. `pipeline` is the steps of a call over the ports.

auth                   who calls, for which workspace, and with whose provider keys
caching                which calls share an answer
guardrails             what prompts and answers must not contain
metering               what a call may use, what it used, and what that costs
routing                which deployments answer a call, in what order, and how often each is tried
deadline               when a call has to be over
single_flight          one piece of work for equal callers at the same time

Some modules are here for their subject, although they are not decisions. Steps over a port: `auth.authenticator` and
`metering.alerts`, the first and the last step of a call; `auth.workspace_keys` and `metering.quota` read a port too;
`metering.roller` makes aggregates beside the calls.
Configuration: `routing.provider_config` reads the providers' settings at start-up; `routing.route_config` and
`guardrails.definition` parse routes and guardrails: the operator's at start-up, a workspace's in the admin API and CLI.
"""
