DROP INDEX keys_transaction;
