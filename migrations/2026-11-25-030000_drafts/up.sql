-- What a draft needs beside its changes, which are in `operation` while the transaction is open: the tag of each, and
-- once it is committed by PATCH the tag that this started from. Without either: NULL.
ALTER TABLE transactions ADD COLUMN draft text;
