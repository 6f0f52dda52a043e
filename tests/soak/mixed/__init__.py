"""The mixed soak: everything that a server does, at once and for long, beside faults."""
