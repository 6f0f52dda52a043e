"""Where a party's media comes from as far as its signalling tells: whether a leg may learn the source, and from which address.

A `Channel` asks each time that it applies a description. `translated` looks at addresses alone; here is what is known of the party, its
dialog and its flow.
"""

from __future__ import annotations

from trunkline.calls.peers import Party
from trunkline.calls.translated import translated
from trunkline.constants import PeerType
from trunkline.sip.dialog import Dialog
from trunkline.sip.endpoint import Flow, MediaPlan

__all__ = ["Whereabouts"]


class Whereabouts:
    """What one channel's descriptions have shown."""

    def __init__(self) -> None:
        self._translated = False

    def learned_from(
        self, plan: MediaPlan, dialog: Dialog | None, flow: Flow | None, party: Party | None
    ) -> str | None:
        """Where the leg may learn the source of media from: their signalling's address, when they are behind NAT.

        Their Via shows it, or what they describe. A hold without address changes nothing of that.

        Args:
            plan: What is agreed.
            dialog: Theirs, where there is one yet.
            flow: By which their signalling comes; None where nobody is called yet.
            party: Who they are; None likewise.

        Returns:
            The address; None where media comes from exactly where the description says.
        """
        if dialog is not None and dialog.nat:
            return dialog.flow.remote[0]
        if flow is None or party is None:
            return None
        source = flow.remote[0]
        if plan.remote_rtp is not None:
            registered = party.peer_type is PeerType.USER
            self._translated = translated(plan.remote_rtp[0], source, registered=registered)
        early = dialog is None and party.nat
        return source if early or self._translated else None
