import java.io.File;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Kafka's dump-log reads the segments and indexes that a broker with a folder of its own has written. */
final class Files {
    private Files() {}

    private static final String TOPIC = "t";
    private static final int EACH = 1200; // records of about a kilobyte with each codec: more than a segment

    /** A millrun with its own folder. */
    private static final class Broker implements AutoCloseable {
        final Path data;
        final Process process;
        final Map<String, Object> config = new HashMap<>();

        Broker(Path dir) throws Exception {
            data = dir.resolve("data");
            Path ready = dir.resolve("ready");
            java.nio.file.Files.deleteIfExists(ready);
            process = new ProcessBuilder(System.getenv("MILLRUN"), "dev", "--data", data.toString(), "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0",
                "--ready-file", ready.toString()).redirectErrorStream(true).redirectOutput(dir.resolve("log").toFile()).start();
            Check.until("the broker serves", () -> java.nio.file.Files.exists(ready) || !process.isAlive());
            Matcher m = Pattern.compile("\"kafka\": *\"([^\"]*)\"").matcher(java.nio.file.Files.readString(ready));
            Check.that(m.find(), "no address");
            config.put("bootstrap.servers", m.group(1));
        }

        KafkaProducer<byte[], byte[]> producer(String codec) {
            Map<String, Object> c = new HashMap<>(config);
            c.put("compression.type", codec);
            c.put("linger.ms", "5");
            return new KafkaProducer<>(c, new ByteArraySerializer(), new ByteArraySerializer());
        }

        void kill() throws Exception {
            process.destroyForcibly().waitFor();
        }

        @Override
        public void close() throws Exception {
            process.destroy();
            Check.that(process.waitFor(10, TimeUnit.SECONDS), "it still runs after SIGTERM");
        }
    }

    /** Records with all codecs, headers, nulls and tombstones, and a commit. */
    private static void fill(Broker b) throws Exception {
        try (Admin admin = Admin.create(b.config)) {
            Target.done(admin.createTopics(List.of(new NewTopic(TOPIC, 1, (short) 1).configs(Map.of("segment.bytes", "1048576")))).all());
        }
        Random random = new Random(1);
        for (String codec : Target.CODECS) {
            try (KafkaProducer<byte[], byte[]> p = b.producer(codec)) {
                List<Future<?>> sent = new ArrayList<>();
                for (int i = 0; i < EACH; i++) {
                    byte[] value = new byte[random.nextInt(2000)];
                    random.nextBytes(value);
                    sent.add(p.send(new ProducerRecord<>(TOPIC, 0, i % 3 == 0 ? null : Target.bytes("key " + i), i % 7 == 0 ? null : value,
                        List.of(new RecordHeader("h", Target.bytes("v")), new RecordHeader("null", (byte[]) null)))));
                }
                for (Future<?> f : sent) {
                    Target.done(f);
                }
            }
        }
        Map<String, Object> c = new HashMap<>(b.config);
        c.put("group.id", "the-group");
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(c, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.commitSync(Map.of(new TopicPartition(TOPIC, 0), new OffsetAndMetadata(17, "text")));
        }
    }

    private static List<File> files(Path data, String partition, String... kinds) {
        File[] all = data.resolve(partition).toFile().listFiles((dir, name) -> Arrays.stream(kinds).anyMatch(name::endsWith));
        return Stream.of(all).sorted().toList();
    }

    private static String[] dump(List<File> files, String... flags) throws Exception {
        String list = files.stream().map(File::getPath).collect(Collectors.joining(","));
        Tool.Result r = Tool.run("dump-log", Tools.with(flags, "--files", list)).ok();
        return (r.out() + r.err()).split("\n");
    }

    /** Each of the lines looks like one of these. */
    private static void only(String[] lines, String... patterns) {
        for (String line : lines) {
            Check.that(Arrays.stream(patterns).anyMatch(line::matches), "dump-log says: %s", line);
        }
    }

    /** Dumps all segments of the partition; gives how many records they hold. */
    private static long segments(Path data) throws Exception {
        long next = 0;
        for (File f : files(data, TOPIC + "-0", ".log")) {
            String base = String.valueOf(Long.parseLong(f.getName().substring(0, 20)));
            String[] lines = dump(List.of(f), "--deep-iteration");
            // Of every segment but the first, Kafka's own ones too, it says that the offsets do not follow -1.
            only(lines, "Dumping .*", "Log starting offset: " + base, "baseOffset: .* isvalid: true.*", "\\| offset: .*",
                "Non-consecutive offsets in .*", "  -1 is followed by " + base);
            for (String line : lines) {
                if (line.startsWith("| offset: ")) {
                    Check.equal(Long.parseLong(line.split(" ")[2]), next);
                    next++;
                }
            }
        }
        return next;
    }

    private static void indexes(Path data) throws Exception {
        List<File> files = files(data, TOPIC + "-0", ".index", ".timeindex");
        String[] lines = dump(files, "--index-sanity-check");
        only(lines, "Dumping .*", ".* passed sanity check.");
        Check.equal((int) Arrays.stream(lines).filter(l -> l.endsWith("passed sanity check.")).count(), files.size());
        only(dump(files, "--verify-index-only"), "Dumping .*");
        lines = dump(files);
        only(lines, "Dumping .*", "offset: [0-9]+ position: [0-9]+", "timestamp: [0-9]+ offset: [0-9]+");
        Check.that(Arrays.stream(lines).filter(l -> l.contains(" position: ")).count() > 50, "%s", String.join("\n", lines));
    }

    /** The state of idempotent producers, and the topic of the groups. */
    private static void therest(Path data) throws Exception {
        List<File> snapshots = files(data, TOPIC + "-0", ".snapshot");
        only(dump(snapshots), "Dumping .*", "producerId: [0-9]+ producerEpoch: 0 .* lastSequence: [0-9]+ .*");
        String commits = "";
        for (File dir : data.toFile().listFiles((d, name) -> name.startsWith("__consumer_offsets-"))) {
            List<File> logs = files(data, dir.getName(), ".log");
            if (logs.get(0).length() > 0) {
                commits += String.join("\n", dump(logs, "--offsets-decoder"));
            }
        }
        Check.that(commits.contains("\"group\":\"the-group\"") && commits.contains("\"offset\":17") && commits.contains("\"metadata\":\"text\""), "%s", commits);
    }

    @Suite.Case(order = 1, ours = true)
    static void dumpLogReadsWhatACleanStopLeaves() throws Exception {
        Path dir = java.nio.file.Files.createTempDirectory("clean");
        Path data;
        try (Broker b = new Broker(dir)) {
            data = b.data;
            fill(b);
        }
        Check.that(files(data, TOPIC + "-0", ".log").size() >= 5, "%s", files(data, TOPIC + "-0", ".log"));
        Check.equal(segments(data), (long) EACH * Target.CODECS.size());
        indexes(data);
        therest(data);
    }

    @Suite.Case(order = 2, ours = true)
    static void dumpLogReadsWhatAKillLeavesAndWhatTheNextStartMakesOfIt() throws Exception {
        Path dir = java.nio.file.Files.createTempDirectory("killed");
        AtomicLong acknowledged = new AtomicLong();
        Path data;
        try (Broker b = new Broker(dir)) {
            data = b.data;
            fill(b);
            try (KafkaProducer<byte[], byte[]> p = b.producer("snappy")) {
                for (int i = 0; i < 20_000; i++) { // it is killed while they are on their way
                    p.send(new ProducerRecord<>(TOPIC, Target.bytes("x" + i)), (m, e) -> {
                        if (e == null) {
                            acknowledged.incrementAndGet();
                        }
                    });
                    if (i == 15_000) {
                        Check.until("some are acknowledged", () -> acknowledged.get() > 0);
                        b.kill();
                    }
                }
                p.close(java.time.Duration.ZERO);
            }
        }
        long least = EACH * Target.CODECS.size() + acknowledged.get();
        long left = segments(data);
        Check.that(left >= least, "%d records are left, %d were acknowledged", left, least);
        indexes(data);
        therest(data);
        try (Broker b = new Broker(dir)) {
            try (KafkaProducer<byte[], byte[]> p = b.producer("lz4")) {
                Check.equal(Target.send(p, TOPIC, 0, "after"), List.of(left));
            }
        }
        Check.equal(segments(data), left + 1);
        indexes(data);
        therest(data);
    }
}
