-- The newest schema of each collection. A deleted one stays as a tombstone, so that its versions go on; version 0 was
-- never set. While somebody wants to set another one, that is pending: bodies may break it, and whoever writes such a
-- body takes that down in broken_by, in the same database transaction.
CREATE TABLE schemas (
    bucket smallint NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    collection text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    nonce bigint NOT NULL,
    deleted boolean NOT NULL,
    media_type text NOT NULL,
    content text,
    updated_at timestamptz NOT NULL,
    pending_content text,
    pending_nonce bigint,
    broken_by text,
    PRIMARY KEY (bucket, tenant, collection),
    CHECK (deleted = (content IS NULL)),
    CHECK ((pending_content IS NULL) = (pending_nonce IS NULL))
);
