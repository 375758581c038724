-- Under which version of this software a model was accepted.

ALTER TABLE model_acceptance ADD COLUMN node TEXT NOT NULL DEFAULT '';
