-- What pgbench works on: tables like those of the server, in the same cluster, filled with the same rows.
DROP SCHEMA IF EXISTS bench CASCADE;
CREATE SCHEMA bench;
CREATE SEQUENCE bench.ids CACHE 1000;
CREATE TABLE bench.resources (LIKE public.resources INCLUDING ALL) WITH (fillfactor = 60);
CREATE TABLE bench.versions (LIKE public.versions INCLUDING ALL);
CREATE TABLE bench.transactions (LIKE public.transactions INCLUDING ALL) WITH (fillfactor = 80);
INSERT INTO bench.resources
SELECT 7, 'default', 'accounts', 'k' || lpad(n::text, 7, '0'), 1, n, false, 'application/json', '{"balance":1000}', now(),
       lpad(to_hex(n), 32, '0')::uuid
FROM generate_series(0, :keys - 1) AS n;
INSERT INTO bench.versions SELECT *, 1 FROM bench.resources;
INSERT INTO bench.transactions (bucket, tenant, id, state, version, nonce, created_at, expires_at, finished_at, operation,
                                digest, outcome, commit_number)
SELECT 7, 'default', lpad(to_hex(n), 32, '0')::uuid, 'committed', 1, n, now(), now(), now(), '[]', sha256('x'), '[]', n
FROM generate_series(0, 999) AS n;
SELECT setval('bench.ids', 1000000);
VACUUM ANALYZE bench.resources, bench.versions, bench.transactions;
