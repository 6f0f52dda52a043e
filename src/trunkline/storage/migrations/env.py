"""Alembic's entry into the migrations: it takes the connection that `migrate` gives it and runs what is missing."""

from __future__ import annotations

from alembic import context

from trunkline.storage.schema import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,  # SQLite cannot alter a column in place
)
with context.begin_transaction():
    context.run_migrations()
