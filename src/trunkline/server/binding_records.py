"""Bindings as the store keeps them, and back after a restart.

`registrar` calls both. The loop's clock becomes wall time and the other way round; a connection does not outlive the
process, so a phone behind NAT on TCP comes back by registering again.
"""

from __future__ import annotations

from collections.abc import Callable

from trunkline.server.bindings import Binding
from trunkline.sip.endpoint import Flow, SipParseError, Uri
from trunkline.storage.records import BindingRecord

__all__ = ["of_record", "record_of"]

SIP_PORT = 5060


def record_of(binding: Binding, *, now: float, wall_now: float) -> BindingRecord:
    """What the store keeps of a binding.

    Args:
        binding: It.
        now: The loop's clock.
        wall_now: The wall clock at the same moment.
    """
    local_host, local_port = binding.flow.local or (None, None)
    return BindingRecord(
        user=binding.user,
        contact=binding.contact,
        instance=binding.instance,
        q=binding.q,
        call_id=binding.call_id,
        cseq=binding.cseq,
        expires_at=binding.expires_at - now + wall_now,
        updated_at=binding.updated_at - now + wall_now,
        path=list(binding.path),
        nat=binding.nat,
        user_agent=binding.user_agent,
        transport=binding.flow.transport,
        remote_host=binding.flow.remote[0],
        remote_port=binding.flow.remote[1],
        local_host=local_host,
        local_port=local_port,
    )


def of_record(record: BindingRecord, *, now: float, wall_now: float, listens: Callable[[Flow], bool]) -> Binding | None:
    """The binding that was kept; None where it has lapsed or cannot be reached any more.

    Args:
        record: What was kept.
        now: The loop's clock.
        wall_now: The wall clock at the same moment.
        listens: Whether a listener of ours serves a flow.
    """
    try:
        uri = Uri.parse(record.contact)
    except SipParseError:
        return None
    flow = _flow(record, uri, listens)
    if record.expires_at <= wall_now or flow is None:
        return None
    return Binding(
        user=record.user,
        uri=uri,
        instance=record.instance,
        q=record.q,
        call_id=record.call_id,
        cseq=record.cseq,
        expires_at=record.expires_at - wall_now + now,
        updated_at=record.updated_at - wall_now + now,
        flow=flow,
        path=tuple(record.path),
        nat=record.nat,
        user_agent=record.user_agent,
    )


def _flow(record: BindingRecord, uri: Uri, listens: Callable[[Flow], bool]) -> Flow | None:
    remote = (record.remote_host, record.remote_port)
    if record.transport != "udp":
        # The connection is gone and its source port with it: the address that the phone listens on is left, if it has one.
        remote = (record.remote_host, uri.port or SIP_PORT)
        if record.nat:
            return None
    elif record.local_host is not None and record.local_port is not None:
        flow = Flow("udp", remote, (record.local_host, record.local_port))
        if listens(flow):
            return flow
    flow = Flow(record.transport, remote)
    return flow if listens(flow) else None
