"""The configuration file as frozen settings; every fault is reported at once with key, value and remedy."""

from dicomnode.config.load import find_file, load, load_text, parse, text_of
from dicomnode.config.shipped import shipped
from dicomnode.config.tables import OUTPUTS, Completion, Settings

__all__ = ["OUTPUTS", "Completion", "Settings", "find_file", "load", "load_text", "parse", "shipped", "text_of"]
