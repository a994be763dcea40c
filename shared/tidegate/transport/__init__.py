"""Outgoing HTTP: one `Transport` protocol over four libraries, request signing for AWS, and media from URLs.

base                the protocols `Transport` and `HttpResponse`, and the values that they take
choose              a transport by the name of its library
httptools           the transport on a client of our own over httptools: the default
connection_pool     kept connections to an origin: the inner interface, for calls that prepare their requests
exchange            a request and its response on a connection: awaited, read or pushed
connection          a connection, as an asyncio protocol
dialer              makes connections: names, addresses, tunnels, certificates
origin              scheme, host, port and proxy of a URL, and the head of a request to them
tls                 the authorities that are trusted
proxies             whether there may be proxies
system_proxies      the proxies of the environment and of the operating system
response_parser     a response from bytes, with limits and refusals
content_decoder     gzip and deflate
reqwest             the transport on pyreqwest
aiohttp             the transport on aiohttp
httpx               the transport on httpx: tests replace its network
stale_connections   sends again when a pooled connection turns out to be closed
silence             time limits for the first byte, and between two bytes
sigv4               AWS Signature Version 4, pure
aws_service         an AWS service: signs requests and sends them
aws_credentials     the protocol for AWS credentials, and the keys that sign requests
media_fetcher       media that a caller names by URL, fetched from public addresses only
"""
