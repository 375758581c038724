"""Takes the patient out of objects, by the confidentiality profile of PS3.15 Annex E."""
