-- Which states contain a JSON value. Every path that is indexed begins with tenant and collection, so entries of one
-- tenant are not looked through for another. On versions, whose rows are never updated: on resources it would end HOT
-- updates. Deletions have no body. The expression is also in the statement that uses it.
CREATE INDEX versions_contains ON versions
    USING gin ((('{"' || tenant || '/' || collection || '":' || body || '}')::jsonb) jsonb_path_ops) WHERE body IS NOT NULL;
