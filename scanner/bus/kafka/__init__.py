"""Apache Kafka through kafka-python, which appears nowhere else.

KafkaConfig ─▶ KafkaBus ─▶ KafkaSubscription   one member of a group, and its answers
                       ├─▶ KafkaPublisher      records out, bounded in bytes
                       ├─▶ KafkaSolePublisher  records out, by one process at a time
                       └─▶ KafkaReader         topics outside any group
"""

import logging

from scanner.bus.kafka.bus import KafkaBus
from scanner.bus.kafka.config import KafkaConfig

# It logs every failed attempt as an error (90 lines for one absent broker); what matters reaches us as an exception.
logging.getLogger("kafka").setLevel(logging.CRITICAL)

__all__ = ["KafkaBus", "KafkaConfig"]
