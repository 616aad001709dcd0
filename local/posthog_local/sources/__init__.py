"""External data sources: types, configuration, vendors, creation, tables (contract 4 to 6)."""
