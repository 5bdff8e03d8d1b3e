"""The database: schema and migrations, named queries, and the two engines that run units of work."""
