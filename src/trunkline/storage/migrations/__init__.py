"""The history of the schema, one Alembic revision a step; shipped inside the package and run when a store is opened.

`migrate` is called by `store` on the storage thread, inside its own transaction. A file that a newer trunkline has
written is refused.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from trunkline.errors import StorageError

__all__ = ["migrate"]


def migrate(connection: Connection, revision: str = "head") -> None:
    """Bring the database behind `connection` to the newest schema.

    Args:
        connection: In a transaction.
        revision: Where to stop, for tests of upgrades.

    Raises:
        StorageError: Its schema is one that this version does not know.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    for current in MigrationContext.configure(connection).get_current_heads():
        if current not in known:
            raise StorageError(f"the database has schema version {current}, which a newer trunkline has written")
    command.upgrade(config, revision)
