"""The agent that is a language model. Only `agent` is for others; the rest loads pydantic-ai."""
