\set key 0
BEGIN;
SELECT version + 1 AS version, (body::jsonb ->> 'balance')::numeric - 1 AS balance, lpad(to_hex(nextval('bench.ids')), 32, '0') AS id
FROM bench.resources
WHERE bucket = 7 AND tenant = 'default' AND collection = 'accounts' AND key = 'k' || lpad(:key::text, 7, '0')
FOR UPDATE \gset
UPDATE bench.resources SET version = :version, nonce = :version, body = '{"balance":' || :balance || '}', updated_at = now(),
       transaction_id = :id::uuid
WHERE bucket = 7 AND tenant = 'default' AND collection = 'accounts' AND key = 'k' || lpad(:key::text, 7, '0');
INSERT INTO bench.versions (bucket, tenant, collection, key, version, nonce, deleted, media_type, body, updated_at,
                            transaction_id, commit_number)
VALUES (7, 'default', 'accounts', 'k' || lpad(:key::text, 7, '0'), :version, :version, false, 'application/json',
        '{"balance":' || :balance || '}', now(), :id::uuid, :version);
INSERT INTO bench.transactions (bucket, tenant, id, state, version, nonce, created_at, expires_at, finished_at, operation,
                                digest, outcome, commit_number)
VALUES (7, 'default', :id::uuid, 'committed', 1, :version, now(), now(), now(),
        '[{"method":"PATCH","target":"/resources/accounts/k' || lpad(:key::text, 7, '0') || '","if_match":"*","content_type":"application/vnd.ifmatch.increment+json","body":{"balance":-1}}]',
        sha256((:balance::text)::bytea),
        '[{"target":"/resources/accounts/k' || lpad(:key::text, 7, '0') || '","status":204,"etag":"\"' || :version || '.0123456789abcdef\""}]',
        :version);
COMMIT;
