"""What each suite of interop tests needs of the machine: one table for `install`, conftest.py and `tests.skipped`.

A suite is what one of conftest.py's fixtures drives, or a program or library that other tests need. It is skipped, with a reason,
on a machine that lacks something, unless TRUNKLINE_REQUIRE_INTEROP=1 is set: then that is a failure. Standard library
alone: `install` runs first of all.
"""

from __future__ import annotations

import ctypes
import functools
import os
import shutil
import subprocess
from pathlib import Path

REQUIRED = "TRUNKLINE_REQUIRE_INTEROP"
LIBRARIES = Path("/usr/lib")

# Command, shared library, or module of a program (a path below the folder of libraries) to Debian 12's package.
PACKAGES = {
    "ip": "iproute2",
    "iptables": "iptables",
    "setpriv": "util-linux",
    "sipp": "sip-tester",
    "kamailio": "kamailio",
    "kamailio/modules/outbound.so": "kamailio-outbound-modules",
    "baresip": "baresip-core",
    "linphonec": "linphone-cli",
    "tcpdump": "tcpdump",
    "sngrep": "sngrep",
    "espeak-ng": "espeak-ng",
    "sox": "sox",
    "opusdec": "opus-tools",
    "ffmpeg": "ffmpeg",
    "libspandsp.so.2": "libspandsp2",
    "libsrtp2.so.1": "libsrtp2-1",
}

NAMESPACE = ("ip", "iptables", "setpriv")
SUITES = {
    "netns": NAMESPACE,
    "kamailio": (*NAMESPACE, "kamailio"),
    "outbound": (*NAMESPACE, "kamailio", "kamailio/modules/outbound.so"),  # an edge proxy with RFC 5626
    "sipp": (*NAMESPACE, "sipp"),
    "baresip": (*NAMESPACE, "baresip"),
    "linphone": (*NAMESPACE, "linphonec"),
    "pcap": ("tcpdump",),  # tests/trace reads a trace file with it
    "hep": ("sngrep", "tcpdump"),  # a capture server, and what reads its file
    "espeak": ("espeak-ng",),  # tests/server/test_hearing.py has phones speak by it
    "srtp": ("libsrtp2.so.1",),  # tests/media/test_srtp.py has it protect and unprotect
    "sox": ("sox",),  # tests/media/test_recording_file.py has both read what was recorded
    "opusdec": ("opusdec",),
    "ffmpeg": ("ffmpeg",),  # tests/server/test_played_formats.py has it write the files
    "spandsp": ("libspandsp.so.2",),  # crates/media/tests/oracle.rs compares codecs with it
}


def missing_programs() -> list[str]:
    """The commands, libraries and modules of the table that this machine does not have."""
    return [name for name in PACKAGES if not _has(name)]


def _has(name: str) -> bool:
    if "/" in name:
        return has_module(name)
    return has_library(name) if ".so." in name else has_command(name)


def has_module(name: str) -> bool:
    """Whether a module of a program is there; its name is a path below the folder of libraries."""
    return any(LIBRARIES.glob(f"*/{name}"))


def has_library(name: str) -> bool:
    """Whether this shared library can be loaded."""
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def has_command(program: str) -> bool:
    """Whether this program is installed."""
    # An ordinary user's PATH leaves out the folders of system programs.
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    return shutil.which(program, path=path) is not None


@functools.cache
def may_make_namespaces() -> bool:
    """Whether this process may make network namespaces (root, and not in a container that forbids it)."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False, timeout=10).returncode == 0


def why_skipped(suite: str) -> str:
    """Why a suite cannot run on this machine; empty when it can."""
    missing = [program for program in missing_programs() if program in SUITES[suite]]
    if missing:
        return f"{suite}: no {', '.join(missing)} on this machine (see tests/interop/install)"
    if not set(NAMESPACE) & set(SUITES[suite]) or may_make_namespaces():
        return ""
    return f"{suite}: may not make network namespaces (needs root)"


def skipped_suites() -> dict[str, str]:
    """The suites that cannot run on this machine, and why."""
    return {suite: why for suite in SUITES if (why := why_skipped(suite))}


def is_required() -> bool:
    """Whether a suite that cannot run is a failure."""
    return os.environ.get(REQUIRED) == "1"
