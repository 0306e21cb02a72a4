"""Every setting, in one frozen tree: flags over SCANNER_… environment variables over a TOML file over defaults.

SCANNER_KAFKA__BOOTSTRAP_SERVERS=broker:9092      one variable a setting, sections divided by two underscores
"""

from scanner.settings.reading import load, origins
from scanner.settings.sections import OidcSettings, ProvenanceSettings, Settings, TopicSettings

__all__ = ["OidcSettings", "ProvenanceSettings", "Settings", "TopicSettings", "load", "origins"]
