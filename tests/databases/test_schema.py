"""The schema that `archstone db sync` makes is the one that Python Keystone 30 makes, on each database."""

import pytest
import sqlalchemy

from harness.servers import Archstone, PythonKeystone

#: Tables that are not Keystone's.
OWN_PREFIX = "archstone_"


def schema(url):
    """Everything that the database says of its tables, in a form that compares and reads well."""
    engine = sqlalchemy.create_engine(url)
    inspector = sqlalchemy.inspect(engine)
    told = {}
    for table in inspector.get_table_names():
        if table.startswith(OWN_PREFIX):
            continue
        columns = {
            column["name"]: (str(column["type"]), column["nullable"], column["default"], column.get("autoincrement"))
            for column in inspector.get_columns(table)
        }
        told[table] = {
            "columns": columns,
            "order": list(columns),
            "primary key": inspector.get_pk_constraint(table)["constrained_columns"],
            "foreign keys": sorted(
                (key["constrained_columns"], key["referred_table"], key["referred_columns"], sorted(key["options"].items()))
                for key in inspector.get_foreign_keys(table)
            ),
            "unique": sorted(key["column_names"] for key in inspector.get_unique_constraints(table)),
            "indexes": sorted((key["column_names"], bool(key["unique"])) for key in inspector.get_indexes(table)),
            "checks": sorted(check["sqltext"] for check in inspector.get_check_constraints(table)),
        }
    with engine.connect() as connection:
        told["heads"] = sorted(connection.execute(sqlalchemy.text("SELECT version_num FROM alembic_version")).scalars())
    engine.dispose()
    return told


@pytest.mark.archstone_only
@pytest.mark.parametrize("database", ["sqlite", "mariadb", "postgresql"])
def test_is_column_by_column_the_one_of_python_keystone(database, new_database, tmp_path):
    ours, theirs = (
        server(tmp_path / server.name, {"database": {"connection": new_database(database)}})
        for server in (Archstone, PythonKeystone)
    )
    for server in (ours, theirs):
        server.directory.mkdir()
        server.write_config()
    ours.archstone("db", "sync")
    theirs.manage("db_sync")
    made, expected = (schema(server.config["database"]["connection"]) for server in (ours, theirs))
    assert len(expected) > 40
    assert sorted(made) == sorted(expected)
    differences = [
        f"{table}: {aspect}: {made[table][aspect]} is not {expected[table][aspect]}"
        for table in expected
        if table != "heads"
        for aspect in expected[table]
        if made[table][aspect] != expected[table][aspect]
    ]
    assert not differences, "\n".join(differences)
    assert made["heads"] == expected["heads"]


@pytest.mark.archstone_only
@pytest.mark.parametrize("database", ["sqlite", "mariadb", "postgresql"])
def test_sync_leaves_a_database_that_is_ready_alone(database, new_database, tmp_path):
    server = Archstone(tmp_path / "server", {"database": {"connection": new_database(database)}})
    server.directory.mkdir()
    server.write_config()
    server.archstone("db", "sync")
    before = schema(server.config["database"]["connection"])
    server.archstone("db", "sync")
    assert schema(server.config["database"]["connection"]) == before
