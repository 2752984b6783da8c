import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ClassicGroupDescription;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.MemberDescription;
import org.apache.kafka.clients.admin.MemberToRemove;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.clients.consumer.StickyAssignor;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.FencedInstanceIdException;
import org.apache.kafka.common.errors.InvalidSessionTimeoutException;
import org.apache.kafka.common.errors.OffsetMetadataTooLarge;

/** Members of consumer groups and what they commit. */
final class Groups {
    private Groups() {}

    /** A member that takes its turns on the case's own thread, and remembers how many partitions each rebalance took from it. */
    static final class Member implements AutoCloseable, ConsumerRebalanceListener {
        final KafkaConsumer<byte[], byte[]> c;
        final List<Integer> taken = new ArrayList<>();

        Member(String topic, Object... config) {
            c = Target.consumer(config);
            c.subscribe(List.of(topic), this);
        }

        int parts() {
            c.poll(Duration.ofMillis(20));
            return c.assignment().size();
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> parts) {
            taken.add(parts.size());
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> parts) { }

        @Override
        public void close() {
            c.close();
        }
    }

    static ConsumerGroupDescription describe(Admin admin, String group) throws Exception {
        return Target.done(admin.describeConsumerGroups(List.of(group)).all()).get(group);
    }

    /** Lets the members take turns until each has its part and the group has come to rest; gives what the broker says of it. */
    static ConsumerGroupDescription shared(Admin admin, String group, List<Integer> parts, Member... members) throws Exception {
        Check.until("parts are " + parts, () -> Arrays.stream(members).map(Member::parts).toList().equals(parts)
            && describe(admin, group).groupState() == GroupState.STABLE);
        return describe(admin, group);
    }

    @Suite.Case(order = 1)
    static void twoMembersShareThePartitionsWhateverAssigns() throws Exception {
        for (Class<?> assignor : List.of(RangeAssignor.class, RoundRobinAssignor.class, StickyAssignor.class, CooperativeStickyAssignor.class)) {
            boolean cooperative = assignor == CooperativeStickyAssignor.class;
            String topic = Target.topic(6);
            Object[] config = {"group.id", topic, "partition.assignment.strategy", assignor.getName()};
            try (Admin admin = Target.admin(); Member a = new Member(topic, config)) {
                shared(admin, topic, List.of(6), a);
                try (Member b = new Member(topic, config)) {
                    ConsumerGroupDescription seen = shared(admin, topic, List.of(3, 3), a, b);
                    Check.equal(seen.members().stream().map(m -> m.assignment().topicPartitions().size()).toList(), List.of(3, 3));
                    Set<TopicPartition> both = new HashSet<>(a.c.assignment());
                    both.addAll(b.c.assignment());
                    Check.equal(both.size(), 6);
                    Check.equal(seen.partitionAssignor(), assignor.getSimpleName().replace("Assignor", "").toLowerCase().replace("cooperatives", "cooperative-s"));
                }
                // A cooperative member gives up what moves and keeps the rest; an eager one gives up all.
                Check.equal(a.taken, List.of(cooperative ? 3 : 6));
                shared(admin, topic, List.of(6), a);
            }
        }
    }

    @Suite.Case(order = 2)
    static void membersMoveFromEagerToCooperativeOneByOne() throws Exception {
        String topic = Target.topic(4);
        String both = CooperativeStickyAssignor.class.getName() + "," + RangeAssignor.class.getName();
        try (Admin admin = Target.admin();
             Member a = new Member(topic, "group.id", topic, "partition.assignment.strategy", both)) {
            try (Member old = new Member(topic, "group.id", topic, "partition.assignment.strategy", RangeAssignor.class.getName())) {
                Check.equal(shared(admin, topic, List.of(2, 2), a, old).partitionAssignor(), "range");
            }
            Check.equal(shared(admin, topic, List.of(4), a).partitionAssignor(), "cooperative-sticky");
        }
    }

    @Suite.Case(order = 3)
    static void aStaticMemberComesBackWithoutARebalance() throws Exception {
        String topic = Target.topic(4);
        Object[] config = {"group.id", topic, "session.timeout.ms", "20000", "group.instance.id", null};
        try (Admin admin = Target.admin(); Member a = new Member(topic, with(config, "a"))) {
            Set<TopicPartition> had;
            try (Member b = new Member(topic, with(config, "b"))) {
                shared(admin, topic, List.of(2, 2), a, b);
                had = b.c.assignment();
            }
            int generation = a.c.groupMetadata().generationId();
            try (Member again = new Member(topic, with(config, "b"))) {
                ConsumerGroupDescription seen = shared(admin, topic, List.of(2, 2), a, again);
                Check.equal(again.c.assignment(), had);
                Check.equal(List.of(a.c.groupMetadata().generationId(), again.c.groupMetadata().generationId()), List.of(generation, generation));
                Check.equal(new HashSet<>(seen.members().stream().map(m -> m.groupInstanceId().orElse("none")).toList()), Set.of("a", "b"));
            }
            Target.done(admin.removeMembersFromConsumerGroup(topic,
                new RemoveMembersFromConsumerGroupOptions(List.of(new MemberToRemove("b")))).all());
            shared(admin, topic, List.of(4), a);
        }
    }

    private static Object[] with(Object[] config, String instance) {
        Object[] c = config.clone();
        c[c.length - 1] = instance;
        return c;
    }

    @Suite.Case(order = 4)
    static void aSecondMemberOfTheSameNameFencesTheFirst() throws Exception {
        String topic = Target.topic(2);
        Object[] config = {"group.id", topic, "session.timeout.ms", "20000", "group.instance.id", "same"};
        try (Admin admin = Target.admin(); Member a = new Member(topic, config)) {
            shared(admin, topic, List.of(2), a);
            try (Member b = new Member(topic, config)) {
                Check.until("the second has all", () -> b.parts() == 2);
                Check.refused(FencedInstanceIdException.class, () -> {
                    a.c.commitSync(Map.of(new TopicPartition(topic, 0), new OffsetAndMetadata(0)));
                    return null;
                });
            }
        }
    }

    @Suite.Case(order = 5)
    static void aMemberThatWasRemovedMayNotCommit() throws Exception {
        String topic = Target.topic(1);
        try (Admin admin = Target.admin(); Member a = new Member(topic, "group.id", topic, "heartbeat.interval.ms", "5000")) {
            shared(admin, topic, List.of(1), a);
            Target.done(admin.removeMembersFromConsumerGroup(topic, new RemoveMembersFromConsumerGroupOptions()).all());
            Check.refused(CommitFailedException.class, () -> {
                a.c.commitSync(Map.of(new TopicPartition(topic, 0), new OffsetAndMetadata(0)));
                return null;
            });
            shared(admin, topic, List.of(1), a); // it joins again
        }
    }

    @Suite.Case(order = 6)
    static void commitsOutliveTheConsumerAndCarryTheirText() throws Exception {
        String topic = Target.topic(2);
        TopicPartition tp = new TopicPartition(topic, 0);
        Target.send(topic, 0, Target.numbers(10));
        try (KafkaConsumer<byte[], byte[]> c = Target.consumer("group.id", topic)) {
            c.subscribe(List.of(topic));
            Target.read(c, 10);
            c.commitSync(Map.of(tp, new OffsetAndMetadata(4, java.util.Optional.of(0), "four, да")));
        }
        try (KafkaConsumer<byte[], byte[]> c = Target.consumer("group.id", topic)) {
            c.subscribe(List.of(topic));
            Check.equal(Target.texts(Target.read(c, 6)), List.of("4", "5", "6", "7", "8", "9"));
            Map<TopicPartition, OffsetAndMetadata> committed = c.committed(Set.of(tp, new TopicPartition(topic, 1)));
            Check.equal(List.of(committed.get(tp).offset(), committed.get(tp).metadata()), List.of(4L, "four, да"));
            Check.equal(committed.get(new TopicPartition(topic, 1)), null);
            Check.refused(OffsetMetadataTooLarge.class, () -> {
                c.commitSync(Map.of(tp, new OffsetAndMetadata(4, "x".repeat(5000))));
                return null;
            });
        }
    }

    @Suite.Case(order = 7)
    static void aConsumerOutsideTheGroupCommitsToIt() throws Exception {
        String topic = Target.topic(1);
        TopicPartition tp = new TopicPartition(topic, 0);
        try (KafkaConsumer<byte[], byte[]> c = Target.reader(topic, 0, "group.id", topic)) {
            c.commitSync(Map.of(tp, new OffsetAndMetadata(17)));
            Check.equal(c.committed(Set.of(tp)).get(tp).offset(), 17L);
        }
        try (Admin admin = Target.admin(); Member m = new Member(topic, "group.id", topic)) {
            shared(admin, topic, List.of(1), m);
            try (KafkaConsumer<byte[], byte[]> c = Target.reader(topic, 0, "group.id", topic)) {
                Check.refused(KafkaException.class, () -> {
                    c.commitSync(Map.of(tp, new OffsetAndMetadata(3)));
                    return null;
                });
            }
        }
    }

    @Suite.Case(order = 8)
    static void aPatternTakesInTopicsThatAreMadeLater() throws Exception {
        String prefix = Target.name();
        Target.create(prefix + "-1", 2);
        try (KafkaConsumer<byte[], byte[]> c = Target.consumer("group.id", prefix, "metadata.max.age.ms", "500")) {
            c.subscribe(Pattern.compile(Pattern.quote(prefix) + "-[0-9]"));
            Check.until("the first topic", () -> {
                c.poll(Duration.ofMillis(20));
                return c.assignment().size() == 2;
            });
            Target.create(prefix + "-2", 3);
            Check.until("the second topic too", () -> {
                c.poll(Duration.ofMillis(20));
                return c.assignment().size() == 5;
            });
        }
    }

    @Suite.Case(order = 9)
    static void aSessionTimeoutOutOfBoundsIsRefused() throws Exception {
        String topic = Target.topic(1);
        try (KafkaConsumer<byte[], byte[]> c = Target.consumer("group.id", topic, "session.timeout.ms", "1000")) {
            c.subscribe(List.of(topic));
            Check.refused(InvalidSessionTimeoutException.class, () -> Target.read(c, 1));
        }
    }

    @Suite.Case(order = 10)
    static void aDeadMemberLosesItsPartitionsToTheOther() throws Exception {
        String topic = Target.topic(2);
        try (Admin admin = Target.admin(); Member a = new Member(topic, "group.id", topic)) {
            // It keeps its session and never polls again: the poll interval ends, and it leaves.
            try (Member b = new Member(topic, "group.id", topic, "max.poll.interval.ms", "1000", "session.timeout.ms", "6000")) {
                shared(admin, topic, List.of(1, 1), a, b);
                Check.until("the first has both", () -> a.parts() == 2);
            }
        }
    }

    @Suite.Case(order = 11)
    static void groupsAreListedDescribedMovedAndDeleted() throws Exception {
        String topic = Target.topic(1);
        TopicPartition tp = new TopicPartition(topic, 0);
        Target.send(topic, 0, Target.numbers(10));
        try (Admin admin = Target.admin()) {
            try (KafkaConsumer<byte[], byte[]> c = Target.consumer("group.id", topic, "client.id", "the-client")) {
                c.subscribe(List.of(topic));
                Target.read(c, 10);
                c.commitSync();
                ConsumerGroupDescription seen = describe(admin, topic);
                MemberDescription member = seen.members().iterator().next();
                Check.equal(List.of(member.clientId(), member.host(), seen.isSimpleConsumerGroup()), List.of("the-client", "/127.0.0.1", false));
                Check.equal(listed(admin, topic), "Optional[Stable]");
                ClassicGroupDescription classic = Target.done(admin.describeClassicGroups(List.of(topic)).all()).get(topic);
                Check.equal(List.of(classic.protocol(), classic.protocolData()), List.of("consumer", "range"));
                Check.refused(org.apache.kafka.common.errors.GroupNotEmptyException.class,
                    () -> Target.done(admin.deleteConsumerGroups(List.of(topic)).all()));
                Check.refused(org.apache.kafka.common.errors.GroupSubscribedToTopicException.class,
                    () -> Target.done(admin.deleteConsumerGroupOffsets(topic, Set.of(tp)).partitionResult(tp)));
                Check.refused(org.apache.kafka.common.errors.UnknownMemberIdException.class,
                    () -> Target.done(admin.alterConsumerGroupOffsets(topic, Map.of(tp, new OffsetAndMetadata(1))).all()));
            }
            Check.equal(listed(admin, topic), "Optional[Empty]");
            Target.done(admin.alterConsumerGroupOffsets(topic, Map.of(tp, new OffsetAndMetadata(4))).all());
            Check.equal(Target.done(admin.listConsumerGroupOffsets(topic).partitionsToOffsetAndMetadata()).get(tp).offset(), 4L);
            Target.done(admin.deleteConsumerGroupOffsets(topic, Set.of(tp)).all());
            Check.equal(Target.done(admin.listConsumerGroupOffsets(topic).partitionsToOffsetAndMetadata()), Map.of());
            Target.done(admin.alterConsumerGroupOffsets(topic, Map.of(tp, new OffsetAndMetadata(4))).all());
            Target.done(admin.deleteConsumerGroups(List.of(topic)).all());
            Check.equal(listed(admin, topic), "absent");
            Check.refused(org.apache.kafka.common.errors.GroupIdNotFoundException.class,
                () -> Target.done(admin.deleteConsumerGroups(List.of(topic)).all()));
            Check.refused(org.apache.kafka.common.errors.GroupIdNotFoundException.class, () -> describe(admin, topic));
        }
    }

    private static String listed(Admin admin, String group) throws Exception {
        return Target.done(admin.listGroups().all()).stream().filter(g -> g.groupId().equals(group))
            .map(g -> g.groupState().toString()).findFirst().orElse("absent");
    }
}
