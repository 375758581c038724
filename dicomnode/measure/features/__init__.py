"""The engine of radiomics: pyradiomics on what a region needs of its image, with the values of the whole image."""
