"""The reference voice host: a program of its own that holds SIP calls for the gateway (contract/queues.md).

It proves the contract and is there to be copied: signalling only, no speech and no media relay.
"""
