import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/** Apache Kafka's command-line tools for topics, settings and records. */
final class Tools {
    private Tools() {}

    @Suite.Case(order = 1)
    static void topics() throws Exception {
        String topic = Target.name();
        Tool.ask("topics", "--create", "--topic", topic, "--partitions", "3", "--config", "retention.ms=1234567", "--config", "cleanup.policy=compact,delete")
            .ok().says("Created topic " + topic);
        Tool.ask("topics", "--list").ok().line(topic);
        Tool.Result seen = Tool.ask("topics", "--describe", "--topic", topic).ok()
            .says("PartitionCount: 3").says("ReplicationFactor: 1").says("retention.ms=1234567").says("cleanup.policy=compact,delete");
        Check.that(seen.line("Partition: 2", "Leader: 1", "Replicas: 1", "Isr: 1").length > 0, "no partition 2");
        Tool.ask("topics", "--alter", "--topic", topic, "--partitions", "5").ok();
        Tool.ask("topics", "--describe", "--topic", topic).ok().says("PartitionCount: 5");
        Tool.ask("topics", "--describe", "--under-replicated-partitions").ok().saysNot(topic);
        Tool.ask("topics", "--describe", "--unavailable-partitions").ok().saysNot(topic);
        Tool.ask("topics", "--describe", "--topics-with-overrides").ok().says(topic);
        Tool.ask("topics", "--create", "--topic", topic).failed("already exists");
        Tool.ask("topics", "--create", "--topic", topic, "--if-not-exists").ok();
        Tool.ask("topics", "--create", "--topic", "with space").failed("with space");
        Tool.ask("topics", "--create", "--topic", Target.name(), "--config", "retention.ms=soon").failed("retention.ms");
        Tool.ask("topics", "--create", "--topic", Target.name(), "--replication-factor", "3").failed("eplication factor");
        Tool.ask("topics", "--delete", "--topic", topic).ok();
        Tool.ask("topics", "--list").ok().saysNot(topic);
        Tool.ask("topics", "--describe", "--topic", topic).failed("does not exist");
        Tool.ask("topics", "--delete", "--topic", topic).failed("does not exist");
    }

    @Suite.Case(order = 2)
    static void configs() throws Exception {
        String topic = Target.topic(1);
        String[] of = {"--entity-type", "topics", "--entity-name", topic};
        Tool.ask("configs", with(of, "--alter", "--add-config", "retention.ms=5000,cleanup.policy=[compact,delete]")).ok().says("Completed updating config");
        Tool.ask("configs", with(of, "--describe")).ok().says("retention.ms=5000").says("cleanup.policy=compact,delete").saysNot("segment.bytes");
        Tool.ask("configs", with(of, "--describe", "--all")).ok().says("segment.bytes=1073741824").says("DEFAULT_CONFIG");
        Tool.ask("configs", with(of, "--alter", "--delete-config", "retention.ms")).ok();
        Tool.ask("configs", with(of, "--describe")).ok().saysNot("retention.ms=5000");
        Tool.ask("configs", with(of, "--alter", "--add-config", "retention.ms=soon")).failed("retention.ms");
        Tool.ask("configs", with(of, "--alter", "--add-config", "no.such.config=1")).failed("no.such.config");
        String[] broker = {"--entity-type", "brokers", "--entity-name", "1"};
        String[] brokers = {"--entity-type", "brokers", "--entity-default"};
        Tool.ask("configs", with(broker, "--describe", "--all")).ok().says("num.partitions=").says("node.id=1");
        Tool.ask("configs", with(broker, "--alter", "--add-config", "message.max.bytes=1400000")).ok();
        Tool.ask("configs", with(brokers, "--alter", "--add-config", "message.max.bytes=1300000")).ok();
        Tool.ask("configs", with(brokers, "--describe")).ok().says("message.max.bytes=1300000");
        if (Target.isMillrun()) { // Kafka's broker hears of it later
            Tool.ask("configs", with(broker, "--describe")).ok().says("message.max.bytes=1400000").says("DYNAMIC_BROKER_CONFIG");
        }
        Tool.ask("configs", with(broker, "--alter", "--delete-config", "message.max.bytes")).ok();
        Tool.ask("configs", with(brokers, "--alter", "--delete-config", "message.max.bytes")).ok();
    }

    static String[] with(String[] some, String... more) {
        String[] all = Arrays.copyOf(some, some.length + more.length);
        System.arraycopy(more, 0, all, some.length, more.length);
        return all;
    }

    @Suite.Case(order = 3)
    static void consoleProducerAndConsumer() throws Exception {
        String topic = Target.topic(1);
        Tool.fed("h1:a,h2:b\tkey\tvalue\nNIL\tkey2\tNIL\nNIL\tNIL\tплюс\n", "console-producer", "--bootstrap-server", Target.BOOTSTRAP, "--topic", topic,
            "--compression-codec", "zstd", "--reader-property", "parse.key=true", "--reader-property", "parse.headers=true",
            "--reader-property", "null.marker=NIL").ok();
        Tool.Result read = Tool.ask("console-consumer", "--topic", topic, "--from-beginning", "--max-messages", "3", "--timeout-ms", "20000",
            "--formatter-property", "print.key=true", "--formatter-property", "print.headers=true", "--formatter-property", "print.timestamp=true",
            "--formatter-property", "print.offset=true", "--formatter-property", "print.partition=true").ok();
        String[] lines = read.out().split("\n");
        Check.equal(lines.length, 3);
        Check.that(lines[0].matches("CreateTime:[0-9]+\tPartition:0\tOffset:0\th1:a,h2:b\tkey\tvalue"), "%s", lines[0]);
        Check.that(lines[1].endsWith("\tOffset:1\tNO_HEADERS\tkey2\tnull"), "%s", lines[1]);
        Check.that(lines[2].endsWith("\tплюс") && lines[2].contains("\tnull\t"), "%s", lines[2]);
        // In a group, which goes on where it was.
        Tool.ask("console-consumer", "--topic", topic, "--from-beginning", "--group", topic, "--max-messages", "2", "--timeout-ms", "20000").ok().says("value");
        Check.equal(Tool.ask("console-consumer", "--topic", topic, "--group", topic, "--max-messages", "1", "--timeout-ms", "20000").ok().out().trim(), "плюс");
        Check.equal(Tool.ask("console-consumer", "--topic", topic, "--partition", "0", "--offset", "2", "--max-messages", "1", "--timeout-ms", "20000").ok().out().trim(), "плюс");
    }

    @Suite.Case(order = 4)
    static void offsetsAndDeletedRecords() throws Exception {
        String topic = Target.topic(2);
        Target.send(topic, 0, Target.numbers(10));
        Target.send(topic, 1, Target.numbers(3));
        Check.equal(Tool.ask("get-offsets", "--topic", topic).ok().out(), topic + ":0:10\n" + topic + ":1:3\n");
        Check.equal(Tool.ask("get-offsets", "--topic-partitions", topic + ":0", "--time", "earliest").ok().out(), topic + ":0:0\n");
        Check.equal(Tool.ask("get-offsets", "--topic-partitions", topic + ":1", "--time", "max-timestamp").ok().out().split(":").length, 3);
        Check.equal(Tool.ask("get-offsets", "--topic-partitions", topic + ":0", "--time", "1000").ok().out(), topic + ":0:0\n");
        Path json = Files.createTempFile("delete", ".json");
        Files.writeString(json, "{\"version\":1,\"partitions\":[{\"topic\":\"" + topic + "\",\"partition\":0,\"offset\":6}]}");
        Tool.ask("delete-records", "--offset-json-file", json.toString()).ok().says("low_watermark: 6");
        Check.equal(Tool.ask("get-offsets", "--topic-partitions", topic + ":0", "--time", "earliest").ok().out(), topic + ":0:6\n");
    }

    @Suite.Case(order = 5)
    static void whatTheBrokerIs() throws Exception {
        String topic = Target.topic(1);
        Target.send(topic, 0, "x".repeat(1000));
        Tool.ask("log-dirs", "--describe", "--topic-list", topic).ok().says("\"" + topic + "-0\"").says("\"error\":null");
        Tool.Result versions = Tool.ask("broker-api-versions").ok();
        for (String key : List.of("Produce(0): 0 to 13 [usable: 13]", "Fetch(1): 4 to 18 [usable: 18]", "Metadata(3): 0 to 13 [usable: 13]",
            "JoinGroup(11): 0 to 9 [usable: 9]", "ApiVersions(18): 0 to ", "DescribeTopicPartitions(75): 0 [usable: 0]")) {
            versions.says(key);
        }
        Check.that(Tool.run("cluster", "cluster-id", "--bootstrap-server", Target.BOOTSTRAP).ok().out().matches("Cluster ID: [-_0-9A-Za-z]{22}\\s+"), "no cluster id");
        Tool.run("cluster", "list-endpoints", "--bootstrap-server", Target.BOOTSTRAP).ok().says("127.0.0.1").says(Target.BOOTSTRAP.split(":")[1]);
    }

    @Suite.Case(order = 6)
    static void verifiableProducerAndConsumer() throws Exception {
        String topic = Target.topic(2);
        Tool.Result sent = Tool.spawned("verifiable-producer", "--topic", topic, "--max-messages", "1000", "--acks", "-1").ok();
        Check.equal((int) Arrays.stream(sent.out().split("\n")).filter(l -> l.contains("producer_send_success")).count(), 1000);
        Tool.Result got = Tool.ask("verifiable-consumer", "--topic", topic, "--group-id", topic, "--max-messages", "1000", "--verbose",
            "--reset-policy", "earliest").ok();
        List<String> values = new ArrayList<>();
        java.util.regex.Matcher m = java.util.regex.Pattern.compile("\"name\":\"record_data\".*?\"value\":\"([0-9]+)\"|\"value\":\"([0-9]+)\".*?\"name\":\"record_data\"").matcher(got.out());
        while (m.find()) {
            values.add(m.group(1) == null ? m.group(2) : m.group(1));
        }
        Check.equal(values.stream().sorted().toList(), IntStream.range(0, 1000).mapToObj(Integer::toString).sorted().toList());
        got.says("\"name\":\"offsets_committed\"").says("\"success\":true").saysNot("\"success\":false");
    }

    @Suite.Case(order = 7)
    static void measuringTools() throws Exception {
        String topic = Target.topic(3);
        Tool.run("producer-perf", "--topic", topic, "--num-records", "20000", "--record-size", "200", "--throughput", "-1",
            "--bootstrap-server", Target.BOOTSTRAP, "--command-property", "compression.type=lz4").ok().says("20000 records sent");
        Check.that(Tool.ask("consumer-perf", "--topic", topic, "--num-records", "20000", "--timeout", "20000").ok().out().contains(", 20000, "), "not all were read");
    }

    /** Kafka's own test of clients against brokers of other ages. Describing ACLs is not served yet. */
    @Suite.Case(order = 8, ours = true)
    static void clientCompatibilityTest() throws Exception {
        Tool.ask("topics", "--delete", "--topic", "newtopic", "--if-exists").ok(); // it creates this one
        Tool.ask("compat", "--topic", Target.topic(1), "--offsets-for-times-supported", "true", "--cluster-id-supported", "true",
            "--expect-record-too-large-exception", "false", "--num-cluster-nodes", "1", "--create-topics-supported", "true",
            "--describe-acls-supported", "false", "--describe-configs-supported", "true", "--idempotent-producer-supported", "true").ok();
    }
}
