"""What `dicomnode check` looks at."""
