"""Proof that faults of providers become what the documents say: a hostile upstream, and what is found with it."""
