"""Tests of the engine of radiomics."""
