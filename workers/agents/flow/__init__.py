"""The workflow agent: goes through a declared graph, turn by turn."""
