\set key random(0, :keys - 1)
\set balance random(0, 9999)
WITH h AS (
  UPDATE bench.resources SET version = version + 1, nonce = :balance, body = '{"balance":' || :balance || '}', updated_at = now(),
         transaction_id = lpad(to_hex(nextval('bench.ids')), 32, '0')::uuid
  WHERE bucket = 7 AND tenant = 'default' AND collection = 'accounts' AND key = 'k' || lpad(:key::text, 7, '0')
  RETURNING *
), v AS (
  INSERT INTO bench.versions (bucket, tenant, collection, key, version, nonce, deleted, media_type, body, updated_at,
                              transaction_id, commit_number)
  SELECT bucket, tenant, collection, key, version, nonce, deleted, media_type, body, updated_at, transaction_id, version FROM h
)
INSERT INTO bench.transactions (bucket, tenant, id, state, version, nonce, created_at, expires_at, finished_at, operation,
                                digest, outcome, commit_number)
SELECT bucket, tenant, transaction_id, 'committed', 1, nonce, updated_at, updated_at, updated_at,
       '[{"method":"PUT","target":"/resources/accounts/' || key || '","if_match":"\"' || version || '.0123456789abcdef\"","body":' || body || '}]',
       sha256(body::bytea), '[{"target":"/resources/accounts/' || key || '","status":204,"etag":"\"' || version || '.0123456789abcdef\""}]',
       version
FROM h;
