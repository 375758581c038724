-- Pixels are compared when an object comes again, file with file: a digest of each was made for nearly none to be asked.
ALTER TABLE instance DROP COLUMN pixel_digest;
