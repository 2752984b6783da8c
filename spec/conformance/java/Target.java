import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** The broker that is asked, and clients of it. */
final class Target {
    static final String BOOTSTRAP = System.getenv("MILLRUN_BOOTSTRAP");
    static final List<String> CODECS = List.of("none", "gzip", "snappy", "lz4", "zstd");

    private Target() {}

    static boolean isMillrun() {
        String http = System.getenv("MILLRUN_HTTP");
        return http != null && !http.isEmpty();
    }

    /** A name for topics and groups that nobody else uses. */
    static String name() {
        return "java-" + Thread.currentThread().getName() + "-" + UUID.randomUUID().toString().substring(0, 8);
    }

    private static Map<String, Object> config(Object... more) {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", BOOTSTRAP);
        for (int i = 0; i < more.length; i += 2) {
            config.put((String) more[i], more[i + 1]);
        }
        return config;
    }

    static Admin admin() {
        return Admin.create(config());
    }

    static KafkaProducer<byte[], byte[]> producer(Object... more) {
        return new KafkaProducer<>(config(more), new ByteArraySerializer(), new ByteArraySerializer());
    }

    static KafkaConsumer<byte[], byte[]> consumer(Object... more) {
        Map<String, Object> config = config("auto.offset.reset", "earliest", "enable.auto.commit", "false", "heartbeat.interval.ms", "250");
        config.putAll(config(more));
        return new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    /** A consumer of one partition, without a group. */
    static KafkaConsumer<byte[], byte[]> reader(String topic, int partition, Object... more) {
        KafkaConsumer<byte[], byte[]> c = consumer(more);
        c.assign(List.of(new TopicPartition(topic, partition)));
        return c;
    }

    /** A new topic. */
    static String topic(int partitions, String... configs) throws Exception {
        String name = name();
        create(name, partitions, configs);
        return name;
    }

    static void create(String name, int partitions, String... configs) throws Exception {
        Map<String, String> map = new HashMap<>();
        for (int i = 0; i < configs.length; i += 2) {
            map.put(configs[i], configs[i + 1]);
        }
        try (Admin admin = admin()) {
            done(admin.createTopics(List.of(new NewTopic(name, partitions, (short) 1).configs(map))).all());
        }
    }

    static <T> T done(Future<T> future) throws Exception {
        return future.get(30, TimeUnit.SECONDS);
    }

    static byte[] bytes(String s) {
        return s == null ? null : s.getBytes(java.nio.charset.StandardCharsets.UTF_8);
    }

    static String text(byte[] b) {
        return b == null ? null : new String(b, java.nio.charset.StandardCharsets.UTF_8);
    }

    /** Sends to one partition and waits for each acknowledgement; gives the offsets. */
    static List<Long> send(KafkaProducer<byte[], byte[]> p, String topic, int partition, String... values) throws Exception {
        List<Future<RecordMetadata>> futures = new ArrayList<>();
        for (String v : values) {
            futures.add(p.send(new ProducerRecord<>(topic, partition, null, bytes(v))));
        }
        p.flush();
        List<Long> offsets = new ArrayList<>();
        for (Future<RecordMetadata> f : futures) {
            offsets.add(done(f).offset());
        }
        return offsets;
    }

    static List<Long> send(String topic, int partition, String... values) throws Exception {
        try (KafkaProducer<byte[], byte[]> p = producer()) {
            return send(p, topic, partition, values);
        }
    }

    /** "0", "1", ... */
    static String[] numbers(int n) {
        String[] all = new String[n];
        for (int i = 0; i < n; i++) {
            all[i] = Integer.toString(i);
        }
        return all;
    }

    /** At least the next n records, in the order of arrival. */
    static List<ConsumerRecord<byte[], byte[]>> read(KafkaConsumer<byte[], byte[]> c, int n) {
        List<ConsumerRecord<byte[], byte[]>> got = new ArrayList<>();
        long end = System.nanoTime() + 30_000_000_000L;
        while (got.size() < n) {
            Check.that(System.nanoTime() < end, "%d of %d records after 30 s", got.size(), n);
            c.poll(Duration.ofMillis(500)).forEach(got::add);
        }
        return got;
    }

    static List<String> texts(List<ConsumerRecord<byte[], byte[]>> records) {
        return records.stream().map(r -> text(r.value())).toList();
    }
}
