"""Whether provisional responses of a user's calls are acknowledged (RFC 3262)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("users", sa.Column("reliable", sa.String(), nullable=False, server_default="supported"))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("users", "reliable")
