import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.TransactionalIdAuthorizationException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;

/** Producing, and that what was produced is what is read. */
final class Records {
    private Records() {}

    private static byte[] value(int i) {
        byte[] v = new byte[8 + i % 150];
        new Random(i).nextBytes(v);
        byte[] number = Target.bytes(String.format("%07d:", i));
        System.arraycopy(number, 0, v, 0, 8);
        return v;
    }

    /** Counts what arrives, by members of a group that take turns on one thread. */
    private static final class Ledger implements ConsumerRebalanceListener {
        final int total;
        final boolean[] seen;
        final Map<Integer, Long> next = new HashMap<>();
        int count;

        Ledger(int total) {
            this.total = total;
            this.seen = new boolean[total];
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> parts) {
            // Everything taken is committed: see take.
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> parts) { }

        void take(KafkaConsumer<byte[], byte[]> c, int[] by) {
            boolean some = false;
            for (ConsumerRecord<byte[], byte[]> r : c.poll(Duration.ofMillis(20))) {
                int i = Integer.parseInt(Target.text(r.value()).substring(0, 7));
                Check.that(Arrays.equals(r.value(), value(i)), "record %d arrived changed", i);
                Check.that(!seen[i], "record %d arrived twice, now at %d@%d", i, r.partition(), r.offset());
                Check.equal(r.offset(), next.getOrDefault(r.partition(), 0L));
                next.put(r.partition(), r.offset() + 1);
                seen[i] = true;
                count++;
                by[0]++;
                some = true;
            }
            if (some) {
                c.commitSync();
            }
        }
    }

    @Suite.Case(order = 1)
    static void aHundredThousandThroughAGroupThatRebalancesInTheMiddle() throws Exception {
        int total = 100_000;
        String topic = Target.topic(8);
        for (int k = 0; k < Target.CODECS.size(); k++) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            try (KafkaProducer<byte[], byte[]> p = Target.producer("compression.type", Target.CODECS.get(k), "linger.ms", "5")) {
                for (int i = total / 5 * k; i < total / 5 * (k + 1); i++) {
                    sent.add(p.send(new ProducerRecord<>(topic, Target.bytes("" + i), value(i))));
                }
                for (Future<RecordMetadata> f : sent) {
                    Check.that(Target.done(f).offset() >= 0, "no offset");
                }
            }
        }
        Ledger ledger = new Ledger(total);
        int[] first = {0};
        int[] second = {0};
        Object[] config = {"group.id", topic, "max.poll.records", "1000"};
        try (KafkaConsumer<byte[], byte[]> a = Target.consumer(config)) {
            a.subscribe(List.of(topic), ledger);
            while (ledger.count < total * 2 / 5) {
                ledger.take(a, first);
            }
            try (KafkaConsumer<byte[], byte[]> b = Target.consumer(config)) {
                b.subscribe(List.of(topic), ledger);
                while (b.assignment().isEmpty()) { // the first holds back until there is something for both
                    a.pause(a.assignment());
                    ledger.take(a, first);
                    ledger.take(b, second);
                }
                a.resume(a.paused());
                while (ledger.count < total) {
                    ledger.take(a, first);
                    ledger.take(b, second);
                }
                Check.that(first[0] > 0 && second[0] > 0, "%d and %d records", first[0], second[0]);
            }
            Set<TopicPartition> all = new HashSet<>();
            a.partitionsFor(topic).forEach(p -> all.add(new TopicPartition(topic, p.partition())));
            Check.until("the second gives its part back", () -> {
                ledger.take(a, first);
                return a.assignment().equals(all);
            });
            Map<TopicPartition, Long> ends = a.endOffsets(all);
            for (Map.Entry<TopicPartition, OffsetAndMetadata> e : a.committed(all).entrySet()) {
                Check.equal(e.getValue().offset(), ends.get(e.getKey()));
            }
        }
        Check.equal(ledger.count, total);
    }

    @Suite.Case(order = 2)
    static void whatIsSentArrivesAsItWas() throws Exception {
        long now = System.currentTimeMillis();
        for (String codec : Target.CODECS) {
            String topic = Target.topic(1);
            Header[] many = new Header[100];
            for (int i = 0; i < many.length; i++) {
                many[i] = new RecordHeader("many", Target.bytes("" + i));
            }
            List<ProducerRecord<byte[], byte[]>> sent = List.of(
                record(topic, now, "key", "value", new RecordHeader("n", Target.bytes("1")), new RecordHeader("n", Target.bytes("2"))),
                record(topic, now - 1, null, "no key"),
                record(topic, now + 5, "null value", null, new RecordHeader("h", new byte[] {0, -1})),
                record(topic, 0, "", "", new RecordHeader("", new byte[0])),
                record(topic, 1, "ключ", "値", new RecordHeader("заголовок", Target.bytes("頭"))),
                record(topic, now, null, null, new RecordHeader("null", (byte[]) null)),
                record(topic, now, "large", "0123456789".repeat(20_000), many));
            try (KafkaProducer<byte[], byte[]> p = Target.producer("compression.type", codec, "linger.ms", "20")) {
                List<Future<RecordMetadata>> futures = new ArrayList<>();
                sent.forEach(r -> futures.add(p.send(r)));
                for (int i = 0; i < futures.size(); i++) {
                    RecordMetadata m = Target.done(futures.get(i));
                    Check.equal(m.offset(), (long) i);
                    Check.equal(m.timestamp(), sent.get(i).timestamp());
                }
            }
            try (KafkaConsumer<byte[], byte[]> c = Target.reader(topic, 0)) {
                List<ConsumerRecord<byte[], byte[]>> got = Target.read(c, sent.size());
                for (int i = 0; i < sent.size(); i++) {
                    ConsumerRecord<byte[], byte[]> r = got.get(i);
                    ProducerRecord<byte[], byte[]> s = sent.get(i);
                    Check.that(Arrays.equals(r.key(), s.key()) && Arrays.equals(r.value(), s.value()), "%s: record %d: %s", codec, i, r);
                    Check.equal(List.of(r.headers().toArray()), List.of(s.headers().toArray()));
                    Check.equal(List.of(r.timestamp(), r.timestampType(), r.offset()), List.of(s.timestamp(), TimestampType.CREATE_TIME, (long) i));
                    Check.equal(r.leaderEpoch().isPresent(), true);
                }
            }
        }
    }

    private static ProducerRecord<byte[], byte[]> record(String topic, long at, String key, String value, Header... headers) {
        return new ProducerRecord<>(topic, 0, at, Target.bytes(key), Target.bytes(value), List.of(headers));
    }

    @Suite.Case(order = 3)
    static void logAppendTimeReplacesTheClientsClock() throws Exception {
        for (String codec : Target.CODECS) {
            String topic = Target.topic(1, "message.timestamp.type", "LogAppendTime");
            long before = System.currentTimeMillis();
            long answered;
            try (KafkaProducer<byte[], byte[]> p = Target.producer("compression.type", codec)) {
                answered = Target.done(p.send(new ProducerRecord<>(topic, 0, 7L, null, Target.bytes("x")))).timestamp();
            }
            Check.that(before <= answered && answered <= System.currentTimeMillis(), "appended at %d", answered);
            try (KafkaConsumer<byte[], byte[]> c = Target.reader(topic, 0)) {
                ConsumerRecord<byte[], byte[]> r = Target.read(c, 1).get(0);
                Check.equal(List.of(r.timestamp(), r.timestampType()), List.of(answered, TimestampType.LOG_APPEND_TIME));
            }
        }
    }

    @Suite.Case(order = 4)
    static void theTopicsCodecIsWhatIsStored() throws Exception {
        for (String stored : List.of("gzip", "snappy", "lz4", "zstd", "uncompressed")) {
            String topic = Target.topic(1, "compression.type", stored);
            try (KafkaProducer<byte[], byte[]> p = Target.producer("compression.type", stored.equals("gzip") ? "zstd" : "gzip", "linger.ms", "50")) {
                Check.equal(Target.send(p, topic, 0, "a".repeat(1000), "b".repeat(1000)), List.of(0L, 1L));
            }
            try (KafkaConsumer<byte[], byte[]> c = Target.reader(topic, 0)) {
                Check.equal(Target.texts(Target.read(c, 2)), List.of("a".repeat(1000), "b".repeat(1000)));
            }
        }
    }

    @Suite.Case(order = 5)
    static void everyKindOfAcknowledgement() throws Exception {
        for (String acks : List.of("0", "1", "all")) {
            String topic = Target.topic(1);
            try (KafkaProducer<byte[], byte[]> p = Target.producer("acks", acks, "enable.idempotence", "" + acks.equals("all"))) {
                List<Long> offsets = Target.send(p, topic, 0, Target.numbers(20));
                Check.that(offsets.get(19) == (acks.equals("0") ? -1 : 19), "acks %s: %s", acks, offsets);
            }
            try (KafkaConsumer<byte[], byte[]> c = Target.reader(topic, 0)) {
                Check.equal(Target.texts(Target.read(c, 20)), List.of(Target.numbers(20)));
            }
        }
    }

    @Suite.Case(order = 6)
    static void anIdempotentProducerWithFiveRequestsInFlightKeepsTheOrder() throws Exception {
        String topic = Target.topic(1);
        String[] values = Target.numbers(5000);
        try (KafkaProducer<byte[], byte[]> p = Target.producer("batch.size", "200", "linger.ms", "0", "max.in.flight.requests.per.connection", "5")) {
            List<Long> offsets = Target.send(p, topic, 0, values);
            Check.equal(offsets.get(4999), 4999L);
        }
        try (KafkaConsumer<byte[], byte[]> c = Target.reader(topic, 0)) {
            Check.equal(Target.texts(Target.read(c, 5000)), List.of(values));
        }
    }

    @Suite.Case(order = 7)
    static void theFirstRecordMakesTheTopicWithFourPartitions() throws Exception {
        String topic = Target.name();
        Check.equal(Target.send(topic, 3, "first"), List.of(0L));
        try (KafkaConsumer<byte[], byte[]> c = Target.reader(topic, 3)) {
            Check.equal(c.partitionsFor(topic).size(), 4);
            Check.equal(Target.texts(Target.read(c, 1)), List.of("first"));
        }
    }

    @Suite.Case(order = 8)
    static void largeRecordsAreTakenUpToTheLimit() throws Exception {
        String large = Target.topic(1, "max.message.bytes", "3000000");
        String small = Target.topic(1);
        try (KafkaProducer<byte[], byte[]> p = Target.producer("max.request.size", "10000000", "buffer.memory", "50000000")) {
            Check.equal(Target.send(p, large, 0, "a".repeat(2_900_000)), List.of(0L));
            Check.refused(RecordTooLargeException.class, () -> Target.send(p, large, 0, "b".repeat(3_100_000)));
            Check.refused(RecordTooLargeException.class, () -> Target.send(p, small, 0, "c".repeat(1_100_000)));
            Check.equal(Target.send(p, large, 0, "after"), List.of(1L));
            // Several records of which each is small enough: the client splits a batch that is refused.
            Check.equal(Target.send(p, small, 0, "d".repeat(600_000), "e".repeat(600_000)).size(), 2);
        }
        // Larger than what the consumer asks for: it gets the one batch all the same.
        try (KafkaConsumer<byte[], byte[]> c = Target.reader(large, 0, "max.partition.fetch.bytes", "1000", "fetch.max.bytes", "1000")) {
            Check.equal(Target.read(c, 2).stream().map(r -> r.value().length).toList(), List.of(2_900_000, 5));
        }
    }

    @Suite.Case(order = 9)
    static void aBatchThatIsTooLargeIsSplit() throws Exception {
        String topic = Target.topic(1, "max.message.bytes", "5000");
        try (KafkaProducer<byte[], byte[]> p = Target.producer("batch.size", "20000", "linger.ms", "200")) {
            String[] values = new String[20];
            Arrays.setAll(values, i -> i + "x".repeat(900));
            Check.equal(Target.send(p, topic, 0, values).size(), 20);
            try (KafkaConsumer<byte[], byte[]> c = Target.reader(topic, 0)) {
                Check.equal(Target.texts(Target.read(c, 20)), List.of(values));
            }
        }
    }

    @Suite.Case(order = 10)
    static void wrongTopicsAreErrors() throws Exception {
        try (KafkaProducer<byte[], byte[]> p = Target.producer("max.block.ms", "1500")) {
            Check.refused(InvalidTopicException.class, () -> Target.send(p, "with space", 0, "x"));
            String topic = Target.topic(1);
            Check.refused(TimeoutException.class, () -> Target.send(p, topic, 7, "x"));
            Check.equal(Target.send(p, topic, 0, "x"), List.of(0L));
        }
    }

    @Suite.Case(order = 11, ours = true)
    static void aTransactionalProducerIsRefusedAtOnce() {
        try (KafkaProducer<byte[], byte[]> p = Target.producer("transactional.id", Target.name())) {
            Check.refused(TransactionalIdAuthorizationException.class, () -> {
                p.initTransactions();
                return null;
            });
            // What follows is refused too, and closing does not hang.
            Check.refused(KafkaException.class, () -> {
                p.beginTransaction();
                return null;
            });
        }
    }

    @Suite.Case(order = 12)
    static void producersOfManyPartitionsAtOnce() throws Exception {
        String topic = Target.topic(50);
        try (KafkaProducer<byte[], byte[]> p = Target.producer("linger.ms", "10", "compression.type", "zstd")) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int i = 0; i < 5000; i++) {
                sent.add(p.send(new ProducerRecord<>(topic, i % 50, null, Target.bytes("" + i))));
            }
            for (Future<RecordMetadata> f : sent) {
                f.get(30, TimeUnit.SECONDS);
            }
        }
        try (KafkaConsumer<byte[], byte[]> c = Target.consumer()) {
            List<TopicPartition> all = new ArrayList<>();
            c.partitionsFor(topic).forEach(p -> all.add(new TopicPartition(topic, p.partition())));
            c.assign(all);
            Check.equal(new HashSet<>(Target.texts(Target.read(c, 5000))).size(), 5000);
            Check.equal(new HashSet<>(c.endOffsets(all).values()), Set.of(100L));
        }
    }
}
