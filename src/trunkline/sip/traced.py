"""From the endpoint's trace to the recorder's values. The server's facade and the test kit use it.

What is recorded is shown: in logs, ladders, reports and captures. The endpoint has starred SRTP keys out of it.
"""

from __future__ import annotations

from trunkline.sip.endpoint import Message, SipParseError, Traced
from trunkline.trace.recorder import TracedMessage

__all__ = ["traced_message"]


def traced_message(event: Traced) -> TracedMessage:
    """What the recorder keeps of a message that went over the wire."""
    start_line, call_id = _summary(event.data)
    flow = event.flow
    return TracedMessage(
        time_s=event.time_s,
        sent=event.sent,
        transport=flow.transport,
        local=flow.local or ("0.0.0.0", 0),
        remote=flow.remote,
        start_line=start_line,
        call_id=call_id,
        data=event.data,
    )


def _summary(data: bytes) -> tuple[str, str]:
    try:
        message = Message.parse(data)
        if message.is_request:
            return f"{message.method} {message.uri_text} SIP/2.0", message.call_id
        return f"SIP/2.0 {message.status} {message.reason} ({message.method})", message.call_id
    except SipParseError as error:
        return f"(malformed: {error.reason})", ""
