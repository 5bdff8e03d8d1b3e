"""Wires the channels: what each ingress and egress adapter is handed. Part of the composition root."""
