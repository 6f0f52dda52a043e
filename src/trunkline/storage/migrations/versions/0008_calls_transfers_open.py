"""The transfers of a call, and an index of the calls that are up."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both."""
    op.add_column("calls", sa.Column("transfers", sa.JSON(), nullable=False, server_default="[]"))
    up = sa.text("closed_reason = ''")
    op.create_index("calls_open", "calls", ["id"], sqlite_where=up, postgresql_where=up)


def downgrade() -> None:
    """Drop them."""
    op.drop_index("calls_open", "calls")
    op.drop_column("calls", "transfers")
