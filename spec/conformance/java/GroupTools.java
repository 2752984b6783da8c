import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;

/** kafka-consumer-groups and what reads the topic of the groups. */
final class GroupTools {
    private GroupTools() {}

    static Tool.Result ask(String... args) throws Exception {
        return Tool.ask("consumer-groups", args);
    }

    /** A topic of two partitions with ten records each, and a group of the same name that has read four of the first one. */
    private static String group() throws Exception {
        String topic = Target.topic(2);
        Target.send(topic, 0, Target.numbers(10));
        Target.send(topic, 1, Target.numbers(10));
        try (KafkaConsumer<byte[], byte[]> c = Target.reader(topic, 0, "group.id", topic)) {
            c.commitSync(Map.of(new TopicPartition(topic, 0), new OffsetAndMetadata(4, "text"), new TopicPartition(topic, 1), new OffsetAndMetadata(10)));
        }
        return topic;
    }

    private static long committed(String group, int partition) throws Exception {
        try (KafkaConsumer<byte[], byte[]> c = Target.consumer("group.id", group)) {
            TopicPartition tp = new TopicPartition(group, partition);
            OffsetAndMetadata at = c.committed(Set.of(tp)).get(tp);
            return at == null ? -1 : at.offset();
        }
    }

    @Suite.Case(order = 1)
    static void describesMembersAndLag() throws Exception {
        String group = group();
        String[] line = ask("--describe", "--group", group).ok().says("has no active members").line(group, " 0 ");
        Check.equal(List.of(line).subList(0, 7), List.of(group, group, "0", "4", "10", "6", "-"));
        try (KafkaConsumer<byte[], byte[]> c = Target.consumer("group.id", group, "client.id", "the-client")) {
            c.subscribe(List.of(group));
            Target.read(c, 6);
            c.commitSync();
            line = ask("--describe", "--group", group).ok().line(group, "the-client", " 0 ");
            Check.equal(List.of(line).subList(2, 6), List.of("0", "10", "10", "0"));
            line = ask("--describe", "--group", group, "--members", "--verbose").ok().line("the-client", group);
            Check.equal(List.of(line).subList(2, 5), List.of("/127.0.0.1", "the-client", "2"));
            line = ask("--describe", "--group", group, "--state").ok().line(group);
            Check.that(List.of(line).containsAll(List.of("range", "Stable", "1")), "%s", List.of(line));
            ask("--list", "--state", "stable").ok().says(group);
            ask("--delete", "--group", group).says("could not be deleted").says("not empty");
            ask("--reset-offsets", "--group", group, "--all-topics", "--to-earliest", "--execute").says("Assignments can only be reset if the group");
            Check.equal(committed(group, 0), 10L);
        }
        Tool.ask("groups", "--list").ok().line(group, "Classic", "consumer");
        ask("--describe", "--group", Target.name()).says("not found");
        ask("--describe", "--all-groups").ok().says(group);
        ask("--validate-regex", "a.*").ok();
    }

    @Suite.Case(order = 2)
    static void movesDeletesAndExportsOffsets() throws Exception {
        String group = group();
        String[] reset = {"--reset-offsets", "--group", group, "--topic", group};
        ask(Tools.with(reset, "--to-earliest", "--dry-run")).ok().says(group);
        Check.equal(committed(group, 0), 4L);
        for (String[] to : new String[][] {{"--to-earliest", "0"}, {"--to-latest", "10"}, {"--to-offset", "7", "7"}, {"--shift-by", "-2", "5"},
            {"--by-duration", "PT1H", "0"}, {"--to-datetime", "2100-01-01T00:00:00.000", "10"}, {"--to-offset", "99", "10"}}) {
            ask(Tools.with(Tools.with(reset, java.util.Arrays.copyOf(to, to.length - 1)), "--execute")).ok();
            Check.equal(committed(group, 0), Long.parseLong(to[to.length - 1]));
        }
        String csv = ask("--reset-offsets", "--group", group, "--topic", group + ":0", "--to-offset", "3", "--export", "--dry-run").ok().out();
        Path file = Files.createTempFile("offsets", ".csv");
        Files.writeString(file, csv);
        ask("--reset-offsets", "--group", group, "--from-file", file.toString(), "--execute").ok();
        Check.equal(committed(group, 0), 3L);
        ask("--delete-offsets", "--group", group, "--topic", group + ":0").ok().says("Successful");
        Check.equal(List.of(committed(group, 0), committed(group, 1)), List.of(-1L, 10L));
        ask("--delete", "--group", group).ok().says("Deletion of requested consumer groups");
        ask("--list").ok().saysNot(group);
        ask("--delete", "--group", group).says("could not be deleted").says("not exist");
    }

    @Suite.Case(order = 3)
    static void kafkasFormattersReadTheTopicOfTheGroups() throws Exception {
        String group = group();
        try (KafkaConsumer<byte[], byte[]> c = Target.consumer("group.id", group)) {
            c.subscribe(List.of(group));
            Target.read(c, 6);
        }
        int partition = Math.abs(group.hashCode()) % 50; // where Kafka, too, keeps this group
        String[] all = {"--topic", "__consumer_offsets", "--partition", "" + partition, "--from-beginning", "--timeout-ms", "2000", "--formatter"};
        Tool.Result offsets = Tool.ask("console-consumer", Tools.with(all, "org.apache.kafka.tools.consumer.OffsetsMessageFormatter"));
        String line = String.join(" ", offsets.line("\"group\":\"" + group + "\"", "\"partition\":0", "\"offset\":4"));
        Check.that(line.contains("\"topic\":\"" + group + "\"") && line.contains("\"metadata\":\"text\""), "%s", line);
        Tool.Result groups = Tool.ask("console-consumer", Tools.with(all, "org.apache.kafka.tools.consumer.GroupMetadataMessageFormatter"));
        line = String.join(" ", groups.line("\"group\":\"" + group + "\"", "\"protocol\":\"range\"", "\"generation\":1"));
        Check.that(line.contains("\"protocolType\":\"consumer\"") && line.contains("\"clientHost\":\"/127.0.0.1\""), "%s", line);
    }
}
