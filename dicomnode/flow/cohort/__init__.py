"""Features of many cases at once, from files or from the store: `dicomnode radiomics extract`."""
