-- Times are milliseconds since the Unix epoch. Ids are UUIDs in lower-case text.

CREATE TABLE installation (
    only_row   INTEGER PRIMARY KEY CHECK (only_row = 1),
    gateway_id TEXT NOT NULL
) STRICT;

CREATE TABLE sessions (
    session_id  TEXT PRIMARY KEY NOT NULL,
    org_id      TEXT NOT NULL,
    user_id     TEXT NOT NULL,
    request_id  TEXT,
    fingerprint BLOB NOT NULL,
    definition  BLOB NOT NULL,
    agent_id    TEXT NOT NULL,
    harness_id  TEXT NOT NULL,
    labels      TEXT NOT NULL,
    version     INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    delete_time INTEGER
) STRICT;

CREATE UNIQUE INDEX sessions_by_request ON sessions (org_id, user_id, request_id)
    WHERE request_id IS NOT NULL;
CREATE INDEX sessions_by_owner ON sessions (org_id, user_id, create_time, session_id)
    WHERE delete_time IS NULL;

-- A row is the intent before it is a fact: it is committed before the provider is asked.
CREATE TABLE sandboxes (
    sandbox_id          TEXT PRIMARY KEY NOT NULL,
    session_id          TEXT NOT NULL REFERENCES sessions (session_id),
    alias               TEXT,
    request_id          TEXT,
    fingerprint         BLOB NOT NULL,
    provider            TEXT NOT NULL,
    spec                BLOB NOT NULL,
    labels              TEXT NOT NULL,
    state               INTEGER NOT NULL,
    reason_code         TEXT NOT NULL,
    reason_message      TEXT NOT NULL,
    generation          INTEGER NOT NULL,
    version             INTEGER NOT NULL,
    provider_sandbox_id TEXT NOT NULL,
    instance_id         TEXT NOT NULL,
    provider_state      BLOB NOT NULL,
    workspace_path      TEXT NOT NULL,
    home_path           TEXT NOT NULL,
    create_time         INTEGER NOT NULL,
    start_time          INTEGER,
    delete_time         INTEGER
) STRICT;

CREATE UNIQUE INDEX sandboxes_by_request ON sandboxes (session_id, request_id)
    WHERE request_id IS NOT NULL;
CREATE UNIQUE INDEX sandboxes_by_alias ON sandboxes (session_id, alias)
    WHERE alias IS NOT NULL AND delete_time IS NULL;
CREATE INDEX sandboxes_by_session ON sandboxes (session_id, create_time, sandbox_id);
