DROP INDEX schemas_held;
