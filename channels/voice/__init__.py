"""Phone calls: what an agent says and wants, rendered for the host that holds the call."""
