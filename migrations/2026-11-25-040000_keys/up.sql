-- What each key of a client stands for: one row a keyed request that succeeded, written with what that did. Rows are
-- never updated, and go with their transaction.
CREATE TABLE keys (
    bucket smallint NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    -- Whose key it is; empty while there is no authentication.
    principal text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    -- SHA-256 of all that makes two requests the same.
    fingerprint bytea NOT NULL,
    transaction_id uuid NOT NULL,
    -- Whether the answer was 201.
    created boolean NOT NULL,
    -- The version that a direct write made, and what its answer said of it: the version itself may be purged first.
    collection text COLLATE "C",
    resource_key text COLLATE "C",
    version bigint,
    nonce bigint,
    deleted boolean,
    updated_at timestamptz,
    PRIMARY KEY (bucket, tenant, principal, key),
    CHECK (num_nulls(collection, resource_key, version, nonce, deleted, updated_at) IN (0, 6))
);
