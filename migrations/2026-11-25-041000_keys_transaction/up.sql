-- Keys are purged with their transaction.
CREATE INDEX keys_transaction ON keys (bucket, tenant, transaction_id);
