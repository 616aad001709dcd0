"""A PostHog API on this machine: a real HTTP server on loopback over SQLite."""
