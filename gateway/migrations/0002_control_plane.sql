-- Sessions that end by themselves, and the work that is left after one was deleted.
ALTER TABLE sessions ADD COLUMN expire_time INTEGER;
-- When to (next) take down what a deleted session owned; none where nothing is left of it.
ALTER TABLE sessions ADD COLUMN cleanup_time INTEGER;
ALTER TABLE sessions ADD COLUMN cleanup_tries INTEGER NOT NULL DEFAULT 0;

CREATE INDEX sessions_by_expiry ON sessions (expire_time)
    WHERE expire_time IS NOT NULL AND delete_time IS NULL;
CREATE INDEX sessions_by_cleanup ON sessions (cleanup_time) WHERE cleanup_time IS NOT NULL;

-- Agents and harnesses, which differ in kind only. Ids are unique in the organisation.
CREATE TABLE agents (
    org_id      TEXT NOT NULL,
    agent_id    TEXT NOT NULL,
    user_id     TEXT NOT NULL,
    kind        INTEGER NOT NULL,
    request_id  TEXT,
    fingerprint BLOB NOT NULL,
    definition  BLOB NOT NULL,
    labels      TEXT NOT NULL,
    version     INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    PRIMARY KEY (org_id, agent_id)
) STRICT;

CREATE UNIQUE INDEX agents_by_request ON agents (org_id, user_id, request_id)
    WHERE request_id IS NOT NULL;
CREATE INDEX agents_by_time ON agents (org_id, create_time, agent_id);

-- Every value that the vault seals for a user or a session, one row for each version of it. The
-- owner is a session for a secret, a user for a connection. The label that a value is sealed under
-- is (org_id, owner, kind, name) with the id of the version.
CREATE TABLE sealed_values (
    value_id      TEXT PRIMARY KEY NOT NULL,
    org_id        TEXT NOT NULL,
    owner         TEXT NOT NULL,
    kind          TEXT NOT NULL CHECK (kind IN ('secret', 'connection')),
    name          TEXT NOT NULL,
    -- 1: in use. 0: replaced or deleted, kept only to clean up what was made with it.
    active        INTEGER NOT NULL CHECK (active IN (0, 1)),
    sealed        BLOB NOT NULL,
    key_id        TEXT NOT NULL,
    size          INTEGER NOT NULL,
    hint          TEXT NOT NULL,
    update_time   INTEGER NOT NULL,
    validate_time INTEGER
) STRICT;

CREATE UNIQUE INDEX sealed_values_active ON sealed_values (kind, org_id, owner, name)
    WHERE active = 1;
CREATE INDEX sealed_values_inactive ON sealed_values (value_id) WHERE active = 0;
CREATE INDEX sealed_values_by_key ON sealed_values (key_id);

-- What a sandbox was made with, and under which key its provider's state is sealed. State from
-- before there was a vault is dropped: providers find a sandbox by its labels then.
ALTER TABLE sandboxes ADD COLUMN org_id TEXT NOT NULL DEFAULT '';
ALTER TABLE sandboxes ADD COLUMN credential_id TEXT;
ALTER TABLE sandboxes ADD COLUMN state_key_id TEXT NOT NULL DEFAULT '';
UPDATE sandboxes SET
    provider_state = x'',
    org_id = (SELECT org_id FROM sessions WHERE sessions.session_id = sandboxes.session_id);

CREATE INDEX sandboxes_by_credential ON sandboxes (credential_id)
    WHERE credential_id IS NOT NULL AND delete_time IS NULL;
CREATE INDEX sandboxes_living ON sandboxes (org_id) WHERE delete_time IS NULL;
CREATE INDEX sandboxes_by_state_key ON sandboxes (state_key_id) WHERE state_key_id <> '';

-- API keys. Of the secret only a digest is kept; it has 256 random bits, so no slow hash is needed.
CREATE TABLE api_keys (
    api_key_id    TEXT PRIMARY KEY NOT NULL,
    title         TEXT NOT NULL,
    org_id        TEXT NOT NULL,
    user_id       TEXT NOT NULL,
    scopes        TEXT NOT NULL,
    secret_digest BLOB NOT NULL,
    issuer        TEXT NOT NULL,
    request_id    TEXT,
    fingerprint   BLOB NOT NULL,
    create_time   INTEGER NOT NULL,
    expire_time   INTEGER,
    revoke_time   INTEGER,
    last_use_time INTEGER
) STRICT;

CREATE UNIQUE INDEX api_keys_by_request ON api_keys (issuer, request_id)
    WHERE request_id IS NOT NULL;
CREATE INDEX api_keys_by_time ON api_keys (create_time, api_key_id);
CREATE INDEX api_keys_by_revocation ON api_keys (revoke_time) WHERE revoke_time IS NOT NULL;

-- Who did what. Rows are added, and removed when they are too old; nothing changes them.
CREATE TABLE audit_events (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id     TEXT NOT NULL,
    time         INTEGER NOT NULL,
    org_id       TEXT NOT NULL,
    user_id      TEXT NOT NULL,
    session_id   TEXT NOT NULL,
    sandbox_id   TEXT NOT NULL,
    execution_id TEXT NOT NULL,
    principal    TEXT NOT NULL,
    method       TEXT NOT NULL,
    target       TEXT NOT NULL,
    code         TEXT NOT NULL,
    reason       TEXT NOT NULL,
    request_id   TEXT NOT NULL,
    peer_address TEXT NOT NULL,
    trace_id     TEXT NOT NULL,
    duration     INTEGER NOT NULL,
    details      TEXT NOT NULL
) STRICT;

CREATE INDEX audit_events_by_user ON audit_events (org_id, user_id, seq);
CREATE INDEX audit_events_by_session ON audit_events (session_id, seq) WHERE session_id <> '';
CREATE TRIGGER audit_events_never_change BEFORE UPDATE ON audit_events
BEGIN
    SELECT RAISE(ABORT, 'audit events never change');
END;

-- What happened in a session, for those who watch it.
CREATE TABLE session_events (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id TEXT NOT NULL,
    sandbox_id TEXT NOT NULL,
    time       INTEGER NOT NULL,
    -- What must be told once only, such as the end of an execution; unique in the session.
    once       TEXT,
    payload    BLOB NOT NULL
) STRICT;

CREATE INDEX session_events_by_session ON session_events (session_id, seq);
CREATE INDEX session_events_by_time ON session_events (time);
CREATE UNIQUE INDEX session_events_once ON session_events (session_id, once)
    WHERE once IS NOT NULL;

-- Answers of calls that gave a request_id, so that repeating one repeats its answer. The digest of
-- the request is keyed: it may hold a secret.
CREATE TABLE requests (
    org_id      TEXT NOT NULL,
    user_id     TEXT NOT NULL,
    request_id  TEXT NOT NULL,
    method      TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    answer      BLOB NOT NULL,
    create_time INTEGER NOT NULL,
    PRIMARY KEY (org_id, user_id, request_id)
) STRICT;

CREATE INDEX requests_by_time ON requests (create_time);

-- The key of those digests, sealed.
ALTER TABLE installation ADD COLUMN digest_key BLOB;
ALTER TABLE installation ADD COLUMN digest_key_id TEXT NOT NULL DEFAULT '';
