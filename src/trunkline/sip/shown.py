"""A flow in words, as events, records and logs name it."""

from __future__ import annotations

from trunkline.sip.endpoint import Flow

__all__ = ["shown_flow"]


def shown_flow(flow: Flow) -> str:
    """Transport, address and port of the far end, as `udp:192.0.2.9:5060`."""
    host, port = flow.remote
    return f"{flow.transport}:[{host}]:{port}" if ":" in host else f"{flow.transport}:{host}:{port}"
