"""Lambda's Runtime API for one ASGI application, with response streaming. Run as `python -m tidegate.runtime HANDLER`.

environment   the variables that Lambda and `sam local` set
event         an invocation's event → an ASGI scope and body, pure
response      an ASGI response → what API Gateway wants to read, pure
failure       failures of invocations, in words that may be told and logged
connection    as much of an HTTP/1.1 client as the Runtime API needs
endpoint      the calls of the Runtime API
delivery      how a response travels: streamed, or whole under `sam local`
exchange      one invocation as the application's `receive` and `send`
invocation    one invocation from event to last byte, with its deadline
lifespan      the application's start-up and shutdown
asgi          the types of ASGI 3, without a framework
start         the start of the process, before its modules are loaded
bundle        imports modules from one file
process       the process: it loads the application, and reports a start that fails
loop          the polls, one per concurrent invocation, and SIGTERM
"""
