"""What a call's prompt and answer are checked for. Loaded by `policy/guards.py` with the first call that has any."""
