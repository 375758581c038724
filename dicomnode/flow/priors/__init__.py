"""Earlier studies of a patient: searched, fetched, handed to the jobs that compare."""
