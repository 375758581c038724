-- What refers to a delivery is looked for with each one that goes (SQLite: foreign keys, child key indexes).

CREATE INDEX delivery_by_dependency ON delivery (depends_on) WHERE depends_on IS NOT NULL;
