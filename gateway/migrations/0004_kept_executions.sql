-- Executions that have ended, so that their outcome and the end of their output outlive their
-- sandbox. The first record of an execution stays as it is until it expires. The label that one is
-- sealed under is (org_id, session_id, 'execution', 'sandbox_id/execution_id').
CREATE TABLE kept_executions (
    sandbox_id   TEXT NOT NULL,
    execution_id TEXT NOT NULL,
    session_id   TEXT NOT NULL,
    org_id       TEXT NOT NULL,
    generation   INTEGER NOT NULL,
    -- How often the sandbox had been started again when it ended.
    boots        INTEGER NOT NULL,
    start_time   INTEGER NOT NULL,
    end_time     INTEGER NOT NULL,
    expire_time  INTEGER NOT NULL,
    -- Bytes of what is sealed.
    size         INTEGER NOT NULL,
    key_id       TEXT NOT NULL,
    -- Last, since it is large and mostly not what a query looks at.
    sealed       BLOB NOT NULL,
    PRIMARY KEY (sandbox_id, execution_id)
) STRICT;

CREATE INDEX kept_executions_by_start ON kept_executions (sandbox_id, start_time, execution_id);
CREATE INDEX kept_executions_by_session ON kept_executions (session_id);
CREATE INDEX kept_executions_by_expiry ON kept_executions (expire_time);
CREATE INDEX kept_executions_by_key ON kept_executions (key_id);
