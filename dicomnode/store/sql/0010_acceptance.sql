-- Under which version of this software a model was accepted, and on what ground where it has no figures.

ALTER TABLE model_acceptance ADD COLUMN node TEXT NOT NULL DEFAULT '';
ALTER TABLE model_acceptance ADD COLUMN ground TEXT NOT NULL DEFAULT '';
