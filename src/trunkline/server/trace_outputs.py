"""Where the record of a server goes besides its log: a pcap file, a Homer capture server.

`SipServer` opens them when it starts or when `trace` is called, and closes all of them when it stops.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from trunkline.errors import ConfigurationError
from trunkline.server.config import ServerSettings, parse_url
from trunkline.trace.hep import HepSender
from trunkline.trace.pcap import PcapWriter
from trunkline.trace.recorder import Recorder

__all__ = ["TraceOutputs"]


class TraceOutputs:
    """What listens to the record until it is closed.

    Args:
        recorder: The record.
        wall_clock: Seconds since the epoch.
    """

    def __init__(self, recorder: Recorder, wall_clock: Callable[[], float]) -> None:
        self._recorder = recorder
        self._wall_clock = wall_clock
        self._open = contextlib.ExitStack()

    def open_pcap(self, path: Path, now_s: float) -> None:
        """Write messages to a file from now on.

        Args:
            path: The file; replaced if it exists.
            now_s: The time of the loop's clock.

        Raises:
            ConfigurationError: It cannot be written.
        """
        try:
            file = self._open.enter_context(path.open("wb", buffering=0))
        except OSError as error:
            raise ConfigurationError("pcap", f"{path} cannot be written: {error.strerror}") from error
        writer = PcapWriter(file, wall_offset_s=self._wall_clock() - now_s)
        self._open.callback(self._recorder.listen(writer.add))

    def open_hep(self, settings: ServerSettings, now_s: float) -> None:
        """Send messages to the capture server that the option `hep` names; nothing where it names none.

        Args:
            settings: The server's options.
            now_s: The time of the loop's clock.

        Raises:
            ConfigurationError: There is no way to it.
        """
        if settings.hep is None:
            return
        _, host, port = parse_url(settings.hep)
        password = settings.hep_password
        try:
            sender = HepSender(
                (host, port),
                wall_offset_s=self._wall_clock() - now_s,
                agent_id=settings.hep_agent_id,
                password=password.get_secret_value() if password is not None else None,
            )
        except OSError as error:
            raise ConfigurationError("hep", f"{settings.hep} cannot be reached: {error.strerror}") from error
        self._open.callback(sender.close)
        self._open.callback(self._recorder.listen(sender.add))

    def close(self) -> None:
        """Close everything that is open. Idempotent."""
        self._open.close()
