-- What a model has done lately is asked with every look at the models, however long the history.

CREATE INDEX job_by_model ON job (model, state, changed_at);
