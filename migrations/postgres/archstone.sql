-- What Archstone keeps besides Keystone's tables. Nothing of Keystone's refers to these.

CREATE TABLE IF NOT EXISTS archstone_revision (
    id INTEGER NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL
);

INSERT INTO archstone_revision (id, revision)
SELECT 1, 0 WHERE NOT EXISTS (SELECT 1 FROM archstone_revision);

CREATE TABLE IF NOT EXISTS archstone_state (
    scope VARCHAR(64) NOT NULL,
    name VARCHAR(255) NOT NULL,
    value TEXT NOT NULL,
    expires_at_int BIGINT NOT NULL,
    PRIMARY KEY (scope, name)
);

CREATE INDEX IF NOT EXISTS ix_archstone_state_expires ON archstone_state (expires_at_int);
