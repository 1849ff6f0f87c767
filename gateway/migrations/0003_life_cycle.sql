-- The clocks of a sandbox, and who works on it. `due_time` is when the lease task looks at the row
-- next; whoever moves it ahead has claimed the row until then. None: never, it is gone.
ALTER TABLE sandboxes ADD COLUMN state_time INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sandboxes ADD COLUMN activity_time INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sandboxes ADD COLUMN running INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sandboxes ADD COLUMN provider_expire_time INTEGER;
ALTER TABLE sandboxes ADD COLUMN due_time INTEGER;
-- How often what is due was tried in vain.
ALTER TABLE sandboxes ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;
-- Which ended executions were saved.
ALTER TABLE sandboxes ADD COLUMN ended_cursor TEXT NOT NULL DEFAULT '';
-- Since when the upstream does not list it.
ALTER TABLE sandboxes ADD COLUMN absent_time INTEGER;
-- How often it was started again, each time without what ran before.
ALTER TABLE sandboxes ADD COLUMN boots INTEGER NOT NULL DEFAULT 0;
UPDATE sandboxes SET state_time = create_time, activity_time = create_time,
    due_time = CASE WHEN delete_time IS NULL THEN 0 END;

CREATE INDEX sandboxes_by_due ON sandboxes (due_time) WHERE due_time IS NOT NULL;
CREATE INDEX sandboxes_gone ON sandboxes (delete_time) WHERE delete_time IS NOT NULL;
CREATE INDEX sandboxes_by_provider ON sandboxes (provider, sandbox_id) WHERE delete_time IS NULL;

-- When a provider's upstream is compared with the store next.
CREATE TABLE comparisons (
    provider TEXT PRIMARY KEY NOT NULL,
    due_time INTEGER NOT NULL
) STRICT;

-- When a gateway on this store was last awake.
ALTER TABLE installation ADD COLUMN awake_time INTEGER NOT NULL DEFAULT 0;
