"""Access tokens: those of OIDC issuers, with which callers authenticate, and Google's, with which we call Vertex AI.

PyJWT and `cryptography` read, verify and sign them. They are imported with the first token that needs them.

choose            loads the modules of this package only in processes that need them
oidc              the verifier of an issuer's access tokens, with the keys that it publishes
access_token      an access token, and its signature
claims            the claims of an access token, pure
key_set           an issuer's public keys, and the signature algorithms
google            Google's access tokens, from a service account or an AWS role
service_account   the signed claim of a service account
"""
