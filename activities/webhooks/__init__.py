"""Webhooks: events are sent to the addresses that subscribe to them, in order for each client."""
