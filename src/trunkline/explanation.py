"""Why a call or a registration failed, as one value: what was sent, what came back, which rule, what to change.

`calls.explanation` and `server.line_explanation` make them. They stand in the events and exceptions of failures, in the
records of calls, in the log and in what the command line says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Explanation", "Row"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why something failed, and what to do about it.

    Example:
        >>> from trunkline.explanation import Explanation
        >>> print(Explanation(
        ...     problem="line itsp: the provider does not take the user name or password",
        ...     sent="REGISTER sip:sip.itsp.example to udp:192.0.2.9:5060",
        ...     received="401 Unauthorized",
        ...     rule="RFC 3261 §22.2",
        ...     advice="check username, auth_username and password of the line",
        ... ))
        line itsp: the provider does not take the user name or password; check username, auth_username and password of the line
    """

    problem: str
    """What is wrong, in one sentence without full stop."""
    sent: str
    """What we sent, and where to; "" where it did not come to that."""
    received: str
    """What came back; "nothing" where nobody answered."""
    rule: str
    """The RFC's section, or the rule of ours, that it follows from."""
    advice: str
    """What to change; "" where there is nothing to change: somebody was busy."""

    def __str__(self) -> str:
        return f"{self.problem}; {self.advice}" if self.advice else self.problem

    def as_json(self) -> dict[str, str]:
        """Its five fields by name."""
        return {
            "problem": self.problem,
            "sent": self.sent,
            "received": self.received,
            "rule": self.rule,
            "advice": self.advice,
        }


@dataclass(frozen=True, slots=True)
class Row:
    """What a kind of failure means: a row of the tables that explanations are made from."""

    problem: str
    """With `{names}` for what differs from one failure to the next."""
    rule: str
    advice: str = ""
    """As `problem`."""

    def explanation(self, words: Mapping[str, str], *, sent: str, received: str) -> Explanation:
        """The explanation of one failure.

        Args:
            words: What stands for the names.
            sent: What we sent.
            received: What came back.
        """
        problem, advice = self.problem.format_map(words), self.advice.format_map(words)
        return Explanation(problem=problem, sent=sent, received=received, rule=self.rule, advice=advice)
