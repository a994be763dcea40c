"""Which calls share an answer.

cache_key   a call's caching options, and the digests by which equal calls are found
"""
