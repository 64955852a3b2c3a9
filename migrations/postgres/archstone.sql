-- What Archstone keeps besides Keystone's tables. Nothing of Keystone's refers to these.

CREATE TABLE IF NOT EXISTS archstone_change (
    node VARCHAR(32) NOT NULL PRIMARY KEY,
    tokens BIGINT NOT NULL,
    revocations BIGINT NOT NULL,
    changed_at_int BIGINT NOT NULL
);

CREATE TABLE IF NOT EXISTS archstone_state (
    scope VARCHAR(64) NOT NULL,
    name VARCHAR(255) NOT NULL,
    value TEXT NOT NULL,
    expires_at_int BIGINT NOT NULL,
    PRIMARY KEY (scope, name)
);

CREATE INDEX IF NOT EXISTS ix_archstone_state_expires ON archstone_state (expires_at_int);

CREATE TABLE IF NOT EXISTS archstone_connector (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    domain_id VARCHAR(64) NOT NULL,
    name VARCHAR(255) NOT NULL,
    plugin VARCHAR(64) NOT NULL,
    idp_id VARCHAR(64) NOT NULL,
    protocol_id VARCHAR(64) NOT NULL,
    mapping_id VARCHAR(64) NOT NULL,
    config TEXT NOT NULL,
    sealed_secrets TEXT NOT NULL,
    key_hash VARCHAR(64) NOT NULL,
    redirect_uris TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    revision BIGINT NOT NULL,
    created_at_int BIGINT NOT NULL,
    updated_at_int BIGINT NOT NULL,
    UNIQUE (domain_id, name),
    UNIQUE (idp_id, protocol_id)
);

CREATE TABLE IF NOT EXISTS archstone_origin_revocation (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    idp_id VARCHAR(64),
    protocol_id VARCHAR(64),
    method VARCHAR(64),
    issued_from_int BIGINT NOT NULL,
    issued_until_int BIGINT NOT NULL
);

CREATE INDEX IF NOT EXISTS ix_archstone_origin_revocation_until
    ON archstone_origin_revocation (issued_until_int);

CREATE TABLE IF NOT EXISTS archstone_artifact (
    digest VARCHAR(64) NOT NULL,
    part INTEGER NOT NULL,
    bytes BYTEA NOT NULL,
    PRIMARY KEY (digest, part)
);

CREATE TABLE IF NOT EXISTS archstone_plugin (
    name VARCHAR(64) NOT NULL PRIMARY KEY,
    digest VARCHAR(64),
    sealed_settings TEXT NOT NULL,
    key_hash VARCHAR(64) NOT NULL,
    revision BIGINT NOT NULL,
    updated_at_int BIGINT NOT NULL
);

CREATE TABLE IF NOT EXISTS archstone_plugin_history (
    name VARCHAR(64) NOT NULL,
    since_int BIGINT NOT NULL,
    digest VARCHAR(64),
    PRIMARY KEY (name, since_int)
);

CREATE TABLE IF NOT EXISTS archstone_connector_mapping (
    connector_id VARCHAR(64) NOT NULL PRIMARY KEY,
    mapping_name VARCHAR(255),
    token_project_id VARCHAR(64)
);
