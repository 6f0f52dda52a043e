"""What a process that loads the extension must not pay for: huge pages, of whose two megabytes it needs some kilobytes."""

from __future__ import annotations

import re
import subprocess
import sys

MAPPINGS = """
import _trunkline
print(open("/proc/self/smaps").read())
"""


def test_the_extension_asks_for_no_huge_pages() -> None:
    # in a process of its own: other libraries of this one may well want them
    ran = subprocess.run([sys.executable, "-c", MAPPINGS], capture_output=True, text=True, check=True)
    flags = re.findall(r"^VmFlags:(.*)$", ran.stdout, re.MULTILINE)
    assert flags
    assert [each for each in flags if "hg" in each.split()] == []
