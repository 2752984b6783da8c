import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;

/** The WebAssembly consumers, as Kafka's tools and clients see them: members of a group like any other. */
final class Wasm {
    private Wasm() {}

    private static String millrun(String... args) throws Exception {
        List<String> command = new ArrayList<>(List.of(System.getenv("MILLRUN")));
        command.addAll(List.of(args));
        Process p = new ProcessBuilder(command).redirectErrorStream(true).start(); // the broker's addresses are in the environment
        String printed = Target.text(p.getInputStream().readAllBytes());
        Check.equal(p.waitFor() + " " + (p.exitValue() == 0 ? "" : printed), "0 ");
        return printed;
    }

    /** The shipped filter, between two new topics of so many partitions, which lets through what contains "yes". */
    private static String deployed(int partitions) throws Exception {
        String name = Target.name();
        Target.create(name, partitions);
        Target.create(name + "-out", partitions);
        millrun("wasm", "deploy", "filter", "--name", name, "--input", name, "--output", name + "-out", "--config", "text=yes");
        return name;
    }

    private static List<String> out(String name, int n) {
        try (KafkaConsumer<byte[], byte[]> c = Target.reader(name + "-out", 0)) {
            return Target.texts(Target.read(c, n));
        }
    }

    private static String[] line(String name, int partition) throws Exception {
        return GroupTools.ask("--describe", "--group", name).ok().line(name, " " + partition + " ");
    }

    @Suite.Case(order = 1, ours = true)
    static void isDescribedWithItsLagAndCanBeMovedWhileItIsPaused() throws Exception {
        String name = deployed(1);
        Target.send(name, 0, "yes 1", "no 2", "yes 3");
        Check.equal(out(name, 2), List.of("yes 1", "yes 3"));
        Check.until("the member has committed", () -> line(name, 0)[3].equals("3"));
        String[] running = line(name, 0);
        Check.equal(List.of(running).subList(0, 6), List.of(name, name, "0", "3", "3", "0"));
        Check.equal(running[8], "millrun-wasm-" + name); // the client id
        Check.that(List.of(GroupTools.ask("--describe", "--group", name, "--state").ok().line(name)).contains("Stable"), "not stable");
        GroupTools.ask("--reset-offsets", "--group", name, "--all-topics", "--to-earliest", "--execute").says("Assignments can only be reset if the group");

        millrun("wasm", "pause", name);
        Target.send(name, 0, "yes 4", "no 5");
        Check.equal(List.of(line(name, 0)).subList(2, 7), List.of("0", "3", "5", "2", "-"));
        GroupTools.ask("--reset-offsets", "--group", name, "--all-topics", "--to-offset", "2", "--execute").ok();
        millrun("wasm", "resume", name);
        Check.equal(out(name, 4), List.of("yes 1", "yes 3", "yes 3", "yes 4"));
        Check.until("the lag is gone", () -> line(name, 0)[5].equals("0"));

        millrun("wasm", "delete", name);
        GroupTools.ask("--delete", "--group", name).ok().says("Deletion of requested consumer groups").says("was successful");
    }

    @Suite.Case(order = 2, ours = true)
    static void sharesItsGroupWithAnOutsideConsumer() throws Exception {
        String name = deployed(4);
        try (Admin admin = Target.admin()) {
            Groups.shared(admin, name, List.of());
            try (Groups.Member outside = new Groups.Member(name, "group.id", name, "partition.assignment.strategy", CooperativeStickyAssignor.class.getName())) {
                Check.equal(Groups.shared(admin, name, List.of(2), outside).members().size(), 2);
                Set<TopicPartition> outsides = outside.c.assignment();
                int of = outsides.iterator().next().partition();
                Target.send(name, of, "yes outside");
                Check.equal(Target.texts(Target.read(outside.c, 1)), List.of("yes outside"));
                outside.c.commitSync();
                Check.equal(admin.listConsumerGroupOffsets(name).partitionsToOffsetAndMetadata().get().get(new TopicPartition(name, of)).offset(), 1L);
                GroupTools.ask("--describe", "--group", name, "--members").ok().line("millrun-wasm-" + name);
            }
            Check.until("the member inside has all four again", () -> Groups.describe(admin, name).members().stream()
                .map(m -> m.assignment().topicPartitions().size()).toList().equals(List.of(4)));
        }
        for (int p = 0; p < 4; p++) {
            Target.send(name, p, "yes " + p, "no");
        }
        try (KafkaConsumer<byte[], byte[]> c = Target.consumer()) {
            List<TopicPartition> all = new ArrayList<>();
            c.partitionsFor(name + "-out").forEach(p -> all.add(new TopicPartition(name + "-out", p.partition())));
            c.assign(all);
            Check.equal(Set.copyOf(Target.texts(Target.read(c, 4))), Set.of("yes 0", "yes 1", "yes 2", "yes 3"));
            Check.equal(c.endOffsets(all).values().stream().mapToLong(Long::longValue).sum(), 4L);
            Check.equal(c.endOffsets(all), Map.of(all.get(0), 1L, all.get(1), 1L, all.get(2), 1L, all.get(3), 1L));
        }
        millrun("wasm", "delete", name);
    }
}
