"""Who calls, for which workspace, and with whose provider keys.

authenticator    a bearer key or an access token → the principal and the workspace, cached
throttle         refusals of wrong keys and tokens: logged, remembered, counted by address
workspace_keys   the provider keys that workspaces bring themselves, cached
"""
