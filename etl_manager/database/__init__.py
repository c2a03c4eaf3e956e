"""What is in the database: a typed snapshot, drift, verification, and a second witness."""
