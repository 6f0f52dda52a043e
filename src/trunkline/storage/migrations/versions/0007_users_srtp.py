"""Whether audio of a user's calls is SRTP, and whether its keys may cross in the clear (RFC 4568)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column("users", sa.Column("srtp", sa.String(), nullable=False, server_default="never"))
    op.add_column("users", sa.Column("srtp_in_clear", sa.Boolean(), nullable=False, server_default="0"))


def downgrade() -> None:
    """Drop them."""
    op.drop_column("users", "srtp_in_clear")
    op.drop_column("users", "srtp")
