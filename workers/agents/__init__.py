"""The kinds of agents: each turns a request into a stream of agent events."""
