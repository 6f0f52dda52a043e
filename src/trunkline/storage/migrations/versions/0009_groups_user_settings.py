"""Line groups that were added at run time, and further settings of users."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, and add the column."""
    op.create_table(
        "line_groups",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("settings", sa.JSON(), nullable=False),
    )
    op.add_column("users", sa.Column("settings", sa.JSON(), nullable=False, server_default="{}"))


def downgrade() -> None:
    """Drop both."""
    op.drop_column("users", "settings")
    op.drop_table("line_groups")
