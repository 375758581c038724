"""Fits and shows the harmonisation of features: `dicomnode radiomics harmonise`."""
