"""Which deployments answer a call, in what order, and how often each is tried.

provider_config   the operator's settings → a `ProviderConfig` for each provider, at start-up
route_config      JSON → routes, the operator's and a workspace's
router            a model's name → its deployments
suggestions       the names that a caller may have meant
fallback          the models to try when one does not answer
ordering          the order of a route's deployments: listed, weighted, fastest or cheapest first
sessions          the deployment that has answered each session last
health            a circuit breaker and the latency for each deployment
balancer          loads ordering and health with the first route that has a choice
states            how providers are configured, and which targets cool down, for the control plane
attempt_order     the next deployment after a failed attempt
retry             whether and when to retry; the retry budget
"""
