"""SRTP of the test kit's calls: which suite was agreed, and new keys."""

from __future__ import annotations

from trunkline.sip.description import Description

__all__ = ["Secured"]


class Secured:
    """What a scripted call knows of its SRTP."""

    _describer: Description

    @property
    def suite(self) -> str | None:
        """The suite of SRTP that was agreed, as SDES names it; None for plain RTP."""
        plan = self._describer.plan
        return plan.keys.suite if plan is not None and plan.keys is not None else None

    def renew_keys(self) -> None:
        """Have the next offer of this side bring new keys."""
        self._describer.renew_keys()
