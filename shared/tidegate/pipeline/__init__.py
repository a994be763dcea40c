"""The steps of a call's path, which `gateway.py` puts in a line: asking, replying, settling."""
