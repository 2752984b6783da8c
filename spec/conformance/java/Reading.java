import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.NoOffsetForPartitionException;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidTopicException;

/** Where a consumer of a partition can stand, and what it is told. */
final class Reading {
    private Reading() {}

    /** A topic of one partition with records "0" to "99", ten milliseconds apart from the time 1,000,000. */
    private static String hundred() throws Exception {
        String topic = Target.topic(1);
        try (KafkaProducer<byte[], byte[]> p = Target.producer("linger.ms", "20")) {
            for (int i = 0; i < 100; i++) {
                p.send(new ProducerRecord<>(topic, 0, 1_000_000L + 10 * i, null, Target.bytes("" + i)));
            }
            p.flush();
            Check.equal(Target.send(p, topic, 0, "100").get(0), 100L);
        }
        return topic;
    }

    private static String at(KafkaConsumer<byte[], byte[]> c, TopicPartition tp, long offset) {
        c.seek(tp, offset);
        return Target.text(Target.read(c, 1).get(0).value());
    }

    @Suite.Case(order = 1)
    static void seeksByOffsetAndByTime() throws Exception {
        String topic = hundred();
        TopicPartition tp = new TopicPartition(topic, 0);
        try (KafkaConsumer<byte[], byte[]> c = Target.reader(topic, 0, "max.poll.records", "1")) {
            Check.equal(at(c, tp, 42), "42"); // in the middle of a batch
            c.seekToBeginning(List.of(tp));
            Check.equal(Target.texts(Target.read(c, 2)), List.of("0", "1"));
            c.seekToEnd(List.of(tp));
            Check.equal(c.position(tp), 101L);
            Check.equal(c.beginningOffsets(List.of(tp)), Map.of(tp, 0L));
            Check.equal(c.endOffsets(List.of(tp)), Map.of(tp, 101L));
            for (long[] want : new long[][] {{0, 0, 1_000_000}, {1_000_500, 50, 1_000_500}, {1_000_501, 51, 1_000_510}, {1_000_990, 99, 1_000_990}}) {
                OffsetAndTimestamp found = c.offsetsForTimes(Map.of(tp, want[0])).get(tp);
                Check.equal(List.of(found.offset(), found.timestamp()), List.of(want[1], want[2]));
            }
            Check.equal(c.offsetsForTimes(Map.of(tp, System.currentTimeMillis() + 1_000_000)).get(tp), null);
            Check.equal(at(c, tp, c.offsetsForTimes(Map.of(tp, 1_000_300L)).get(tp).offset()), "30");
        }
    }

    @Suite.Case(order = 2)
    static void anOffsetOutOfRangeIsAnErrorOrAReset() throws Exception {
        String topic = hundred();
        TopicPartition tp = new TopicPartition(topic, 0);
        try (KafkaConsumer<byte[], byte[]> c = Target.reader(topic, 0, "auto.offset.reset", "none")) {
            Check.refused(NoOffsetForPartitionException.class, () -> Target.read(c, 1));
            c.seek(tp, 1000);
            Check.equal(Check.refused(OffsetOutOfRangeException.class, () -> Target.read(c, 1)).offsetOutOfRangePartitions(), Map.of(tp, 1000L));
        }
        try (KafkaConsumer<byte[], byte[]> c = Target.reader(topic, 0)) {
            Check.equal(at(c, tp, 1000), "0");
        }
        try (KafkaConsumer<byte[], byte[]> c = Target.reader(topic, 0, "auto.offset.reset", "by_duration:PT10H")) {
            Check.equal(at(c, tp, 1000), "100");
        }
        try (Admin admin = Target.admin(); KafkaConsumer<byte[], byte[]> c = Target.reader(topic, 0)) {
            Target.done(admin.deleteRecords(Map.of(tp, RecordsToDelete.beforeOffset(60))).all());
            Check.equal(at(c, tp, 10), "60"); // below the start of the log
        }
    }

    @Suite.Case(order = 3)
    static void aWaitingConsumerGetsARecordAtOnce() throws Exception {
        String topic = Target.topic(1);
        try (KafkaConsumer<byte[], byte[]> c = Target.reader(topic, 0, "fetch.max.wait.ms", "20000")) {
            Check.that(c.poll(Duration.ofMillis(300)).isEmpty(), "records of nobody");
            Target.send(topic, 0, "now");
            long began = System.nanoTime();
            Check.equal(Target.texts(Target.read(c, 1)), List.of("now"));
            Check.that(System.nanoTime() - began < 10e9, "late");
            Target.send(topic, 0, "ends the fetch that closing would wait for");
        }
    }

    @Suite.Case(order = 4)
    static void aConsumerOfManyTopicsSeesEachOfTheirRecords() throws Exception {
        String[] topics = new String[20];
        for (int i = 0; i < topics.length; i++) {
            topics[i] = Target.topic(2);
        }
        try (KafkaConsumer<byte[], byte[]> c = Target.consumer(); KafkaProducer<byte[], byte[]> p = Target.producer()) {
            c.assign(Arrays.stream(topics).map(t -> new TopicPartition(t, 1)).toList());
            for (int round = 0; round < 5; round++) { // of a fetch session most partitions say nothing
                for (int i = round; i < topics.length; i += 7) {
                    Target.send(p, topics[i], 1, topics[i] + round);
                    Check.equal(Target.texts(Target.read(c, 1)), List.of(topics[i] + round));
                }
            }
        }
    }

    @Suite.Case(order = 5)
    static void pausedPartitionsSayNothing() throws Exception {
        String topic = Target.topic(2);
        Target.send(topic, 0, "a");
        Target.send(topic, 1, "b");
        try (KafkaConsumer<byte[], byte[]> c = Target.consumer()) {
            TopicPartition zero = new TopicPartition(topic, 0);
            c.assign(List.of(zero, new TopicPartition(topic, 1)));
            c.pause(List.of(zero));
            Check.equal(Target.texts(Target.read(c, 1)), List.of("b"));
            c.resume(List.of(zero));
            Check.equal(Target.texts(Target.read(c, 1)), List.of("a"));
        }
    }

    @Suite.Case(order = 6)
    static void bothIsolationLevelsReadWhatIsNotTransactional() throws Exception {
        String topic = Target.topic(1);
        Target.send(topic, 0, "x");
        for (String level : List.of("read_committed", "read_uncommitted")) {
            try (KafkaConsumer<byte[], byte[]> c = Target.reader(topic, 0, "isolation.level", level)) {
                Check.equal(Target.texts(Target.read(c, 1)), List.of("x"));
                Check.equal(c.endOffsets(c.assignment()).get(new TopicPartition(topic, 0)), 1L);
            }
        }
    }

    @Suite.Case(order = 7)
    static void anUnknownTopicIsNotMade() throws Exception {
        String absent = Target.name();
        try (KafkaConsumer<byte[], byte[]> c = Target.consumer("allow.auto.create.topics", "false"); Admin admin = Target.admin()) {
            c.assign(List.of(new TopicPartition(absent, 0)));
            Check.that(c.poll(Duration.ofMillis(300)).isEmpty(), "records of no topic");
            Check.equal(c.partitionsFor(absent), List.of());
            Check.that(!Target.done(admin.listTopics().names()).contains(absent), "the topic was made");
            Check.refused(InvalidTopicException.class, () -> c.partitionsFor("a/b"));
        }
    }

    @Suite.Case(order = 8)
    static void aTopicThatIsMadeAgainIsAnother() throws Exception {
        String topic = Target.topic(1);
        Target.send(topic, 0, Target.numbers(10));
        try (Admin admin = Target.admin(); KafkaConsumer<byte[], byte[]> c = Target.reader(topic, 0, "metadata.max.age.ms", "200")) {
            Target.read(c, 10);
            Target.done(admin.deleteTopics(List.of(topic)).all());
            Target.create(topic, 1);
            Target.send(topic, 0, "new");
            c.seekToBeginning(c.assignment());
            Check.equal(Target.texts(Target.read(c, 1)), List.of("new"));
        }
    }
}
