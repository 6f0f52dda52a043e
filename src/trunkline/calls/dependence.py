"""Which call was dialled for which: it is given up with the other, until the two are bridged.

Each `Course` has one. `Exchange` ties two together where `dial` names a call on whose behalf it is, `Bridge` lets them stand alone.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Dependence"]


class Dependence:
    """One call's ties to others.

    Args:
        close: Gives the call up.
    """

    def __init__(self, close: Callable[[], None]) -> None:
        self._close = close
        self._guardian: Dependence | None = None
        self._dependents: frozenset[Dependence] = frozenset()

    def take(self, other: Dependence) -> None:
        """`other`'s call was dialled for this one."""
        self._dependents |= {other}
        other._guardian = self

    def leave(self) -> None:
        """Outlive the call that this one was dialled for."""
        guardian, self._guardian = self._guardian, None
        if guardian is not None:
            guardian._dependents -= {self}

    def end(self) -> list[Callable[[], None]]:
        """The call is over.

        Returns:
            What gives each of those up that were dialled for it.
        """
        self.leave()
        dependents, self._dependents = self._dependents, frozenset()
        return [dependent._close for dependent in dependents]
