"""The agents that answer turns: demo, over HTTP, in Python; each is a `gateway.domain.ports.agent.Agent`."""
