-- The transactions that created the resources, with the operation, its digest and the outcome as the server keeps them:
-- a retry of any of them is answered as one.
COPY (
  SELECT :bucket::smallint, :'tenant', id, 'committed', 1::bigint, n, time, time + interval '1 day', time, NULL::text, NULL::text,
         '[{"method":"PUT","target":"' || target || '","if_none_match":"*","body":{"balance":1001}}]',
         sha256(convert_to('{"changes":[{"body":{"balance":1001e0},"if_none_match":"*","method":"PUT","target":"' || target
                           || '"}]}', 'UTF8')),
         '[{"target":"' || target || '","status":201,"etag":"\"1.' || lpad(to_hex(n), 16, '0') || '\""}]', n + 1
  FROM (SELECT n, to_timestamp(millis / 1000.0) AS time, '/resources/accounts/k' || lpad(n::text, 7, '0') AS target,
               (lpad(to_hex(millis), 12, '0') || '7' || left(hash, 3) || '9' || substr(hash, 4, 15))::uuid AS id
        FROM (SELECT n, :begin_millis + n * :span_millis / :count AS millis, md5(n::text) AS hash
              FROM generate_series(0, :count::bigint - 1) AS n) AS numbered) AS generated
) TO :'pipe' (FORMAT binary);
