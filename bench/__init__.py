"""The speed of a change beside its floor: what Temporal and PostgreSQL themselves cost here, today, on this machine."""
