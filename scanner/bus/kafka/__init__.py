"""Apache Kafka through kafka-python, which appears nowhere else.

KafkaConfig ─▶ KafkaBus ─▶ KafkaSubscription   one member of a group, and its answers
                       ├─▶ KafkaPublisher      records out, bounded in bytes
                       └─▶ KafkaReader         topics outside any group
"""

from scanner.bus.kafka.bus import KafkaBus
from scanner.bus.kafka.config import KafkaConfig

__all__ = ["KafkaBus", "KafkaConfig"]
