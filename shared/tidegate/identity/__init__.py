"""Who calls, and who we are to others: access tokens of OIDC issuers, Google's tokens, and their cryptography."""
