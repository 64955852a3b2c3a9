-- What Archstone keeps besides Keystone's tables. Nothing of Keystone's refers to these.

CREATE TABLE IF NOT EXISTS archstone_revision (
    id INTEGER NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL
) ENGINE=InnoDB;

INSERT IGNORE INTO archstone_revision (id, revision) VALUES (1, 0);

CREATE TABLE IF NOT EXISTS archstone_state (
    scope VARCHAR(64) NOT NULL,
    name VARCHAR(255) NOT NULL,
    value TEXT NOT NULL,
    expires_at_int BIGINT NOT NULL,
    PRIMARY KEY (scope, name),
    KEY ix_archstone_state_expires (expires_at_int)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3;
