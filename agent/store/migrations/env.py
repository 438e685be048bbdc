"""Alembic runs this file to migrate the connection it was handed, in that connection's transaction."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    # SQLite undoes DDL with the rest of a transaction; a migration killed half-way leaves nothing behind.
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
