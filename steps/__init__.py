"""The sentences of the features: each a thin call into etl_manager."""
