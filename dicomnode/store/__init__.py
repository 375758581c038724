"""Files and rows: all that is owed and all that is kept."""
