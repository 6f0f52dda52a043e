"""SRTP of a channel: whether it is on, and new keys for it by a re-INVITE of ours (RFC 4568 §7.1.4).

Who may have SRTP is said by `Party`, what is agreed by its `Description`; keys stay inside the extension.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trunkline.calls.renewal import Renewal
from trunkline.sip.description import Description

if TYPE_CHECKING:
    from trunkline.calls.channel import Channel
    from trunkline.calls.course import Course

__all__ = ["Secured", "SecuredCall", "renew_keys"]


class Secured:
    """What a channel says of its SRTP."""

    describer: Description | None

    @property
    def srtp_suite(self) -> str | None:
        """The suite of SRTP that its audio goes under, as `AEAD_AES_256_GCM`; None while it is plain RTP."""
        plan = self.describer.plan if self.describer is not None else None
        return plan.keys.suite if plan is not None and plan.keys is not None else None

    @property
    def encrypted(self) -> bool:
        """Whether its audio is SRTP."""
        return self.srtp_suite is not None


def renew_keys(channel: Channel) -> bool:
    """Offer new keys on a channel that is up; False where it has none."""
    if not channel.encrypted or channel.describer is None or channel.invite is None:
        return False
    channel.describer.renew_keys()
    Renewal(channel, None, "sendrecv", None, patient=True).start()
    return True


class SecuredCall:
    """SRTP of a call; a part of `CallSession`."""

    _course: Course

    @property
    def encrypted(self) -> bool:
        """Whether the audio of every party of it goes as SRTP; `zero.encrypted` and `one.encrypted` say it per leg."""
        course = self._course
        return course.zero.encrypted and (course.one is None or course.one.encrypted)

    def renew_keys(self) -> bool:
        """Offer new SRTP keys to each encrypted side that is up (RFC 4568 §7.1.4); False where there is none."""
        sides = [side for side in (self._course.zero, self._course.one) if side is not None]
        return self._course.env.run(lambda: sum(map(renew_keys, sides)) > 0)
