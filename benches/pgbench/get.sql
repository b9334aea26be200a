\set key random(0, :keys - 1)
SELECT version, nonce, deleted, media_type, body, updated_at, transaction_id FROM bench.resources
WHERE bucket = 7 AND tenant = 'default' AND collection = 'accounts' AND key = 'k' || lpad(:key::text, 7, '0');
