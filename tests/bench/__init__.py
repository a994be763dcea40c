"""What the gateway itself costs: latency, throughput, memory, cold start and size, measured beside the direct call."""
