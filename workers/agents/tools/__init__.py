"""The tools a language model may call, each behind `gateway.domain.tool.Tool`."""
