ALTER TABLE transactions DROP COLUMN draft;
