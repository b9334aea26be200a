-- Resources as the server writes them when each is created by a transaction of its own; every tag is "1.{number}".
COPY (
  SELECT :bucket::smallint, :'tenant', 'accounts', 'k' || lpad(n::text, 7, '0'), 1::bigint, n, false, 'application/json', '{"balance":1001}',
         to_timestamp(millis / 1000.0),
         (lpad(to_hex(millis), 12, '0') || '7' || left(hash, 3) || '9' || substr(hash, 4, 15))::uuid
  FROM (SELECT n, :begin_millis + n * :span_millis / :count AS millis, md5(n::text) AS hash
        FROM generate_series(0, :count::bigint - 1) AS n) AS generated
) TO :'pipe' (FORMAT binary);
