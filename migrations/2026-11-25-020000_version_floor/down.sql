ALTER TABLE tenants DROP COLUMN version_floor;
