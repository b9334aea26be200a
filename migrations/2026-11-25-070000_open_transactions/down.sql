DROP INDEX transactions_open;
