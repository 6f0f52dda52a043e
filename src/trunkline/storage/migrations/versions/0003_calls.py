"""The records of calls and of their attempts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the two tables."""
    op.create_table(
        "calls",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("from_type", sa.String(), nullable=False),
        sa.Column("from_name", sa.String(), nullable=False),
        sa.Column("from_address", sa.String(), nullable=False),
        sa.Column("caller_id", sa.String(), nullable=False),
        sa.Column("caller_name", sa.String(), nullable=False),
        sa.Column("dial_number", sa.String(), nullable=False),
        sa.Column("to_type", sa.String(), nullable=False),
        sa.Column("to_name", sa.String(), nullable=False),
        sa.Column("line", sa.String(), nullable=False),
        sa.Column("server", sa.String(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False, index=True),
        sa.Column("answered_at", sa.Float()),
        sa.Column("closed_at", sa.Float(), nullable=False),
        sa.Column("closed_reason", sa.String(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("zero", sa.JSON(), nullable=False),
        sa.Column("one", sa.JSON(), nullable=False),
        sa.Column("explanation", sa.JSON(), nullable=False),
    )
    op.create_table(
        "attempts",
        sa.Column("call", sa.String(), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("channel", sa.Integer(), nullable=False),
        sa.Column("peer_type", sa.String(), nullable=False),
        sa.Column("peer_name", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("server", sa.String(), nullable=False),
        sa.Column("started_at", sa.Float(), nullable=False, index=True),
        sa.Column("ended_at", sa.Float()),
        sa.Column("answered", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("attempts")
    op.drop_table("calls")
