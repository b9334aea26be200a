-- The greatest version of any tombstone that was purged: a name without a row begins above it, so that no version of any
-- resource ever comes again.
ALTER TABLE tenants ADD COLUMN version_floor bigint NOT NULL DEFAULT 0;
