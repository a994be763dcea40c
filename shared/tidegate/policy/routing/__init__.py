"""Which deployments answer a call, in what order, and how often each is asked."""
