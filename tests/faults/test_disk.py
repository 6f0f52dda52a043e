"""The disk is full: a file system of a megabyte in a mount namespace of the server's own, filled while a call is up."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.faults.served import ACCOUNT, MOBILE, Served, count_rows
from tests.faults.talking import hears, talk
from trunkline.testing import Itsp, Phone

SMALL = 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@"'
PATIENCE_S = 30.0


def calls_in(storage: Path, folder: Path) -> int:
    """Records of calls in a store of another mount namespace, by a copy: SQLite resolves the way through /proc itself, and in vain."""
    for name in ("pbx.db", "pbx.db-wal"):
        shutil.copyfile(storage.with_name(name), folder / name)
    return count_rows(folder / "pbx.db", "calls")


def fill(path: Path) -> None:
    """Write until nothing more goes in."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def may_mount() -> bool:
    """Whether this process may have a mount namespace of its own."""
    tried = ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return (
        shutil.which("unshare") is not None and subprocess.run(tried, capture_output=True, check=False).returncode == 0
    )


@pytest.mark.timeout(90)
def test_a_full_disk_costs_one_error_line_and_no_call_and_is_made_up_for(tmp_path: Path) -> None:
    if not may_mount():
        pytest.skip("only root may mount")

    async def main() -> None:
        disk = tmp_path / "disk"
        disk.mkdir()
        async with Itsp({ACCOUNT: "line secret"}) as itsp:
            within = ["unshare", "-m", "sh", "-c", SMALL, str(disk)]
            served = Served(tmp_path, itsp.port, storage=disk / "pbx.db", within=within)
            await served.start()
            try:
                inside = Path(f"/proc/{served.pid}/root{disk}")
                await itsp.wait_registered(ACCOUNT)
                at = ("127.0.0.1", served.port)
                async with Phone("alice", "secret of alice", at, realm="pbx.example") as alice:
                    await alice.register()
                    standing = await talk(alice, itsp, MOBILE)
                    fill(inside / "filler")
                    # until the log of the database, which has some room left, has none any more
                    async with asyncio.timeout(PATIENCE_S):
                        while not any("cannot be written" in line for line in served.log):
                            near, far = await talk(alice, itsp, MOBILE)
                            near.hangup()
                            await far.wait_ended()
                            await asyncio.sleep(0.05)
                    assert await hears(standing)
                    await alice.register()
                    near, far = await talk(alice, itsp, MOBILE)
                    assert await hears((near, far))
                    near.hangup()
                    await far.wait_ended()
                    written = calls_in(inside / "pbx.db", tmp_path)
                    await served.wait_logged("next attempt in 5 s")
                    (inside / "filler").unlink()
                    await served.wait_logged("is written again", PATIENCE_S)
                    assert calls_in(inside / "pbx.db", tmp_path) > written
                    standing[0].hangup()
                    await standing[1].wait_ended()
                log = "".join(served.log)
                assert log.count(" ERROR ") == 1
                assert "Traceback" not in log
            finally:
                await served.kill()

    asyncio.run(main())
