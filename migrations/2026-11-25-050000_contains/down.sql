DROP INDEX versions_contains;
