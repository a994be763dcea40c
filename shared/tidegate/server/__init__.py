"""An HTTP/1.1 server for one ASGI application, over httptools. `run(app, sockets)` serves until a signal ends it.

limits        how long a connection may wait, and how much it may hold
refusal       replies of the server itself, when there is no request for the application
digits        lengths of bodies as text
header_names  names of headers in lower case
proxies       addresses of clients, as proxies report them
request       the head of a request → an ASGI scope, pure
response      an ASGI response → the head and the framing of HTTP/1.1, pure
flow          backpressure of one connection, in both directions
state         what the connections of a server share
exchange      one request and its reply, as the application's `receive` and `send`
connection    one connection: its requests in their order, and its deadlines
server        the life of a server: start, ticks, graceful shutdown
process       a server as a whole process: its event loop and its signals
"""
