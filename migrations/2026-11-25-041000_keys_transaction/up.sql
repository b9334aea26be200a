-- Keys are purged with their transaction. The predicate always holds: with it, nothing else is looked for by this index,
-- not in a table that was never analysed either, where all indexes seem to be as good.
CREATE INDEX keys_transaction ON keys (bucket, tenant, transaction_id) WHERE transaction_id IS NOT NULL;
