"""Apache Kafka itself, without Docker.

pom.xml ──Maven, once──▶ jars in the cache ──StorageTool format──▶ folder ──kafka.Kafka──▶ a broker on a free port
"""

from scanner.bus.broker.local import LocalBroker
from scanner.bus.broker.tools import LocalBrokerError

__all__ = ["LocalBroker", "LocalBrokerError"]
