-- The schemas that bodies are held to: all of a tenant's are read at once, and tombstones are not looked at.
CREATE INDEX schemas_held ON schemas (bucket, tenant) WHERE content IS NOT NULL OR pending_content IS NOT NULL;
