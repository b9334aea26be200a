-- Counts whatever changes what commits are judged by, other than state: a purge horizon, a schema. A commit names the
-- epoch that it was judged in, in the WHERE of the row that it updates, and does nothing if there is another by now.
ALTER TABLE buckets ADD COLUMN epoch bigint NOT NULL DEFAULT 0;
