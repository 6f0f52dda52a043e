"""The dialogs of calls that are up, so that they can be ended after a crash."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "dialogs",
        sa.Column("call_id", sa.String(), primary_key=True),
        sa.Column("local_tag", sa.String(), primary_key=True),
        sa.Column("remote_tag", sa.String(), primary_key=True),
        sa.Column("local", sa.String(), nullable=False),
        sa.Column("remote", sa.String(), nullable=False),
        sa.Column("remote_target", sa.String(), nullable=False),
        sa.Column("routes", sa.JSON(), nullable=False),
        sa.Column("local_cseq", sa.BigInteger(), nullable=False),
        sa.Column("remote_cseq", sa.BigInteger(), nullable=False),
        sa.Column("nat", sa.Boolean(), nullable=False),
        sa.Column("transport", sa.String(), nullable=False),
        sa.Column("remote_host", sa.String(), nullable=False),
        sa.Column("remote_port", sa.Integer(), nullable=False),
        sa.Column("local_host", sa.String()),
        sa.Column("local_port", sa.Integer()),
        sa.Column("peer_type", sa.String(), nullable=False),
        sa.Column("peer_name", sa.String(), nullable=False),
        sa.Column("connected_at", sa.Float(), nullable=False),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("dialogs")
