"""The commands of `gateway`, a module a group; `gateway.cli` imports it when its command is called."""
