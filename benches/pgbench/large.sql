\set first random(0, :keys - 100)
\set balance random(0, 9999)
WITH l AS MATERIALIZED (
  SELECT key FROM bench.resources
  WHERE bucket = 7 AND tenant = 'default' AND collection = 'accounts'
    AND key BETWEEN 'k' || lpad(:first::text, 7, '0') AND 'k' || lpad((:first::int + 99)::text, 7, '0')
  ORDER BY key FOR UPDATE
), t AS (SELECT lpad(to_hex(nextval('bench.ids')), 32, '0')::uuid AS id),
h AS (
  UPDATE bench.resources r SET version = version + 1, nonce = :balance, body = '{"balance":' || :balance || '}', updated_at = now(),
         transaction_id = t.id
  FROM t, l
  WHERE bucket = 7 AND tenant = 'default' AND collection = 'accounts' AND r.key = l.key
  RETURNING r.*
), v AS (
  INSERT INTO bench.versions (bucket, tenant, collection, key, version, nonce, deleted, media_type, body, updated_at,
                              transaction_id, commit_number)
  SELECT bucket, tenant, collection, key, version, nonce, deleted, media_type, body, updated_at, transaction_id, version FROM h
)
INSERT INTO bench.transactions (bucket, tenant, id, state, version, nonce, created_at, expires_at, finished_at, operation,
                                digest, outcome, commit_number)
SELECT min(bucket), min(tenant), t.id, 'committed', 1, :balance, now(), now(), now(),
       '[' || string_agg('{"method":"PUT","target":"/resources/accounts/' || key || '","if_match":"*","body":' || body || '}', ',') || ']',
       sha256(string_agg(body, '')::bytea),
       '[' || string_agg('{"target":"/resources/accounts/' || key || '","status":204,"etag":"\"' || version || '.0123456789abcdef\""}', ',') || ']',
       1
FROM h, t GROUP BY t.id;
