-- The core's tables. Rules that hold for every later migration too:
--   * bucket, then tenant, lead every primary key and every index: one tenant's rows are one range, and
--     the schema can be distributed by bucket without change;
--   * no trigger, sequence, identity column or volatile default on a table that the commit path writes:
--     times, ids and numbers are bound by the server;
--   * names are compared byte by byte (COLLATE "C"), so that lists are ordered the same everywhere.

-- One row a bucket, for ever: the anchor of batches, and the counter that puts commits into one order.
-- Every commit updates one of these rows, so pages are left nearly empty for HOT updates.
CREATE TABLE buckets (
    bucket smallint PRIMARY KEY CHECK (bucket BETWEEN 0 AND 255),
    last_commit bigint NOT NULL
) WITH (fillfactor = 10);
INSERT INTO buckets (bucket, last_commit) SELECT bucket, 0 FROM generate_series(0, 255) AS bucket;

CREATE TABLE tenants (
    bucket smallint NOT NULL REFERENCES buckets,
    tenant text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    -- Ids that are not newer than this and have no row are gone. It never moves back.
    purge_horizon timestamptz NOT NULL,
    PRIMARY KEY (bucket, tenant)
);

-- The newest state of each resource. A deleted one stays as a tombstone, so that its versions go on.
-- Version 0 is a name that is only locked; such a row never outlives its database transaction.
CREATE TABLE resources (
    bucket smallint NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    collection text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    nonce bigint NOT NULL,
    deleted boolean NOT NULL,
    media_type text NOT NULL,
    body text,
    updated_at timestamptz NOT NULL,
    transaction_id uuid NOT NULL,
    PRIMARY KEY (bucket, tenant, collection, key),
    CHECK (deleted = (body IS NULL))
) WITH (fillfactor = 60);

-- Every state that a resource ever had; rows are never updated.
CREATE TABLE versions (
    bucket smallint NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    collection text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    nonce bigint NOT NULL,
    deleted boolean NOT NULL,
    media_type text NOT NULL,
    body text,
    updated_at timestamptz NOT NULL,
    transaction_id uuid NOT NULL,
    commit_number bigint NOT NULL,
    PRIMARY KEY (bucket, tenant, collection, key, version)
);

CREATE TABLE transactions (
    bucket smallint NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    id uuid NOT NULL,
    state text NOT NULL CHECK (state IN ('open', 'committed', 'cancelled', 'expired')),
    version bigint NOT NULL,
    nonce bigint NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    finished_at timestamptz,
    reference text,
    metadata text,
    operation text,
    digest bytea,
    outcome text,
    commit_number bigint,
    PRIMARY KEY (bucket, tenant, id),
    CHECK ((state = 'committed') = (commit_number IS NOT NULL)),
    CHECK ((state = 'open') = (finished_at IS NULL))
) WITH (fillfactor = 80);

-- A reference is taken while its transaction is open or decided; cancelled and expired ones free it.
CREATE UNIQUE INDEX transactions_reference ON transactions (bucket, tenant, reference)
    WHERE reference IS NOT NULL AND state IN ('open', 'committed');
