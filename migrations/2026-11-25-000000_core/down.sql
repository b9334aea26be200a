DROP TABLE transactions;
DROP TABLE versions;
DROP TABLE resources;
DROP TABLE tenants;
DROP TABLE buckets;
