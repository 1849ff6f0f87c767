-- Files of sessions. A folder is there as long as a file lies below it. Paths compare bytewise.
CREATE TABLE session_files (
    session_id   TEXT NOT NULL,
    -- From the root, with a leading slash.
    path         TEXT NOT NULL,
    org_id       TEXT NOT NULL,
    is_folder    INTEGER NOT NULL CHECK (is_folder IN (0, 1)),
    -- How many parts the path has.
    level        INTEGER NOT NULL,
    -- Names the content, whose parts are in file_parts; empty for folders.
    content_id   TEXT NOT NULL,
    -- Changes with every write.
    etag         TEXT NOT NULL,
    size         INTEGER NOT NULL,
    content_type TEXT NOT NULL,
    -- Empty where it is not known, and for folders.
    sha256       BLOB NOT NULL,
    create_time  INTEGER NOT NULL,
    modify_time  INTEGER NOT NULL,
    PRIMARY KEY (session_id, path)
) STRICT;

CREATE INDEX session_files_by_level ON session_files (session_id, level, path);

-- Content of files, in objects of a few MiB. The row is there before its object, and goes after it.
CREATE TABLE file_parts (
    object_key TEXT PRIMARY KEY NOT NULL,
    session_id TEXT NOT NULL,
    org_id     TEXT NOT NULL,
    content_id TEXT NOT NULL,
    place      INTEGER NOT NULL,
    size       INTEGER NOT NULL,
    -- When to remove the object; none while a file has it.
    due_time   INTEGER
) STRICT;

CREATE INDEX file_parts_by_content ON file_parts (content_id, place);
CREATE INDEX file_parts_by_due_time ON file_parts (due_time) WHERE due_time IS NOT NULL;
CREATE INDEX file_parts_due_of_org ON file_parts (org_id, due_time) WHERE due_time IS NOT NULL;

-- How many files a session has, and how many bytes an organisation: counted as they change, since
-- every write asks. Triggers count, so that no statement forgets to.
CREATE TABLE session_file_counts (
    session_id TEXT PRIMARY KEY NOT NULL,
    files      INTEGER NOT NULL
) STRICT;

CREATE TABLE org_file_bytes (
    org_id TEXT PRIMARY KEY NOT NULL,
    -- Of its files.
    kept   INTEGER NOT NULL DEFAULT 0,
    -- Of all objects, also of those that no file has yet, or any more.
    stored INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TRIGGER session_files_added AFTER INSERT ON session_files WHEN NEW.is_folder = 0
BEGIN
    INSERT INTO session_file_counts (session_id, files) VALUES (NEW.session_id, 1)
        ON CONFLICT DO UPDATE SET files = files + 1;
    INSERT INTO org_file_bytes (org_id, kept) VALUES (NEW.org_id, NEW.size)
        ON CONFLICT DO UPDATE SET kept = kept + NEW.size;
END;

CREATE TRIGGER session_files_changed AFTER UPDATE OF size ON session_files
BEGIN
    UPDATE org_file_bytes SET kept = kept + NEW.size - OLD.size WHERE org_id = NEW.org_id;
END;

CREATE TRIGGER session_files_removed AFTER DELETE ON session_files WHEN OLD.is_folder = 0
BEGIN
    UPDATE session_file_counts SET files = files - 1 WHERE session_id = OLD.session_id;
    DELETE FROM session_file_counts WHERE session_id = OLD.session_id AND files = 0;
    UPDATE org_file_bytes SET kept = kept - OLD.size WHERE org_id = OLD.org_id;
END;

CREATE TRIGGER file_parts_added AFTER INSERT ON file_parts
BEGIN
    INSERT INTO org_file_bytes (org_id, stored) VALUES (NEW.org_id, NEW.size)
        ON CONFLICT DO UPDATE SET stored = stored + NEW.size;
END;

CREATE TRIGGER file_parts_removed AFTER DELETE ON file_parts
BEGIN
    UPDATE org_file_bytes SET stored = stored - OLD.size WHERE org_id = OLD.org_id;
END;

-- Secrets count in the same quota; in the row, their size stands behind their content.
CREATE INDEX sealed_values_by_size ON sealed_values (kind, org_id, active, size)
    WHERE active = 1;

-- Copies between sessions and sandboxes that can be repeated and are not over.
CREATE TABLE transfers (
    org_id      TEXT NOT NULL,
    user_id     TEXT NOT NULL,
    request_id  TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    -- Whoever works on it, until the time that is claimed.
    holder      TEXT NOT NULL,
    claim_time  INTEGER NOT NULL,
    files       INTEGER NOT NULL,
    bytes       INTEGER NOT NULL,
    -- What became of the first of its files, encoded.
    done        BLOB NOT NULL,
    -- Of copies into a new sandbox: which one, and which files, encoded. There from when it is made.
    sandbox_id  TEXT,
    asked       BLOB NOT NULL DEFAULT x'',
    PRIMARY KEY (org_id, user_id, request_id)
) STRICT;

CREATE INDEX transfers_by_claim ON transfers (claim_time);
CREATE INDEX transfers_by_sandbox ON transfers (sandbox_id, claim_time) WHERE sandbox_id IS NOT NULL;
