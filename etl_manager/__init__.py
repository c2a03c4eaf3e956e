"""Provisions and proves a multi-tenant analytics database on Aurora PostgreSQL.

Everything reaches the database one way: boto3 → SSM Run Command → the bastion's shell →
``scripts/2-sql-execute.sh`` → psql. A target decides only what answers behind the AWS API.
"""
