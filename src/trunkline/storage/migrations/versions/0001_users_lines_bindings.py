"""Users, lines, tokens of lines and bindings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the first tables."""
    op.create_table(
        "users",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("realm", sa.String(), nullable=False),
        sa.Column("ha1_md5", sa.String(), nullable=False),
        sa.Column("ha1_sha256", sa.String(), nullable=False),
        sa.Column("display_name", sa.String(), nullable=False),
        sa.Column("codecs", sa.JSON(), nullable=False),
        sa.Column("max_contacts", sa.Integer(), nullable=False),
    )
    op.create_table(
        "lines",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("password", sa.String()),
        sa.Column("settings", sa.JSON(), nullable=False),
    )
    op.create_table(
        "line_tokens",
        sa.Column("line", sa.String(), primary_key=True),
        sa.Column("token", sa.String(), nullable=False),
    )
    op.create_table(
        "bindings",
        sa.Column("user", sa.String(), primary_key=True),
        sa.Column("contact", sa.String(), primary_key=True),
        sa.Column("instance", sa.String(), primary_key=True),
        sa.Column("q", sa.Float(), nullable=False),
        sa.Column("call_id", sa.String(), nullable=False),
        sa.Column("cseq", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.Column("path", sa.JSON(), nullable=False),
        sa.Column("nat", sa.Boolean(), nullable=False),
        sa.Column("user_agent", sa.String(), nullable=False),
        sa.Column("transport", sa.String(), nullable=False),
        sa.Column("remote_host", sa.String(), nullable=False),
        sa.Column("remote_port", sa.Integer(), nullable=False),
        sa.Column("local_host", sa.String()),
        sa.Column("local_port", sa.Integer()),
    )


def downgrade() -> None:
    """Drop them."""
    for table in ("bindings", "line_tokens", "lines", "users"):
        op.drop_table(table)
