-- A tenant's open transactions, newest last: they are counted, listed, and searched for expired ones. What is decided leaves
-- it, so it stays small.
CREATE INDEX transactions_open ON transactions (bucket, tenant, id) WHERE state = 'open';
