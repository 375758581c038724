"""Numbers about segments: size, intensity, radiomics."""
