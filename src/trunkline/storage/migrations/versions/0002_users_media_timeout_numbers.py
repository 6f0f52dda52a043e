"""The silence after which a user's calls count as lost, and the numbers that it may show."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ONCE_S = "60.0"
"""What revision 1 did not keep: the server's default of that time."""


def upgrade() -> None:
    """Add the columns."""
    op.add_column("users", sa.Column("media_timeout_s", sa.Float(), nullable=False, server_default=ONCE_S))
    op.add_column("users", sa.Column("numbers", sa.JSON(), nullable=False, server_default="[]"))


def downgrade() -> None:
    """Drop them."""
    op.drop_column("users", "numbers")
    op.drop_column("users", "media_timeout_s")
