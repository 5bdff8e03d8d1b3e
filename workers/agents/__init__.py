"""The agents that answer turns, each behind `gateway.domain.ports.Agent`: demo, over HTTP, in Python."""
