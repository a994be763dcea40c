"""Access tokens: those of OIDC issuers, with which callers authenticate, and Google's, with which we call Vertex AI.

choose    loads the modules of this package only in processes that need them
oidc      the verifier of an issuer's access tokens, with the keys that it publishes
jwt       an access token's parts and claims, pure
jwk       an issuer's public keys, and the signature algorithms
google    Google's access tokens, from a service account or an AWS role
rsa       RSA signatures in pure Python
p256      ECDSA signatures on the curve P-256 in pure Python
"""
