import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.AlterConfigOp.OpType;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConfigEntry.ConfigSource;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.CreateTopicsResult;
import org.apache.kafka.clients.admin.DescribeClusterResult;
import org.apache.kafka.clients.admin.DescribeConfigsOptions;
import org.apache.kafka.clients.admin.DescribeTopicsOptions;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.LogDirDescription;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.InvalidReplicaAssignmentException;
import org.apache.kafka.common.errors.InvalidReplicationFactorException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.OffsetOutOfRangeException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicIdException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** The admin client: topics, partitions, settings, offsets. No case waits: what was answered is so. */
final class Admins {
    private Admins() {}

    private static TopicDescription describe(Admin admin, String topic) throws Exception {
        return Target.done(admin.describeTopics(List.of(topic)).allTopicNames()).get(topic);
    }

    @Suite.Case(order = 1)
    static void topicsAreCreatedDescribedAndDeletedAndEveryAnswerIsFinal() throws Exception {
        String topic = Target.name();
        Set<Uuid> ids = new HashSet<>();
        try (Admin admin = Target.admin()) {
            for (int round = 0; round < 10; round++) {
                CreateTopicsResult made = admin.createTopics(List.of(new NewTopic(topic, 3, (short) 1).configs(Map.of("retention.ms", "1234567"))));
                Target.done(made.all());
                Check.equal(List.of(Target.done(made.numPartitions(topic)), Target.done(made.replicationFactor(topic))), List.of(3, 1));
                Check.equal(Target.done(made.config(topic)).get("retention.ms").value(), "1234567");
                TopicDescription seen = describe(admin, topic);
                Check.equal(seen.topicId(), Target.done(made.topicId(topic)));
                Check.that(ids.add(seen.topicId()), "the same id again");
                Check.equal(seen.partitions().stream().map(p -> p.leader().id() == p.isr().get(0).id()).toList(), List.of(true, true, true));
                Check.equal(Target.send(topic, 2, "" + round), List.of(0L));
                try (KafkaConsumer<byte[], byte[]> c = Target.reader(topic, 2)) {
                    Check.equal(Target.texts(Target.read(c, 1)), List.of("" + round));
                }
                if (round % 2 == 0) {
                    Target.done(admin.deleteTopics(List.of(topic)).all());
                } else {
                    Target.done(admin.deleteTopics(TopicCollection.ofTopicIds(List.of(seen.topicId()))).all());
                }
                Check.that(!Target.done(admin.listTopics().names()).contains(topic), "the topic is still listed");
                Check.refused(UnknownTopicOrPartitionException.class, () -> describe(admin, topic));
                Check.refused(UnknownTopicIdException.class,
                    () -> Target.done(admin.describeTopics(TopicCollection.ofTopicIds(List.of(seen.topicId()))).allTopicIds()));
            }
        }
    }

    @Suite.Case(order = 2)
    static void manyTopicsInOneRequestAndPageByPage() throws Exception {
        String prefix = Target.name();
        List<NewTopic> topics = new ArrayList<>();
        for (int i = 0; i < 50; i++) {
            topics.add(new NewTopic(prefix + "-" + i, 10, (short) 1));
        }
        List<String> names = topics.stream().map(NewTopic::name).toList();
        try (Admin admin = Target.admin()) {
            Target.done(admin.createTopics(topics).all());
            Map<String, TopicDescription> seen =
                Target.done(admin.describeTopics(names, new DescribeTopicsOptions().partitionSizeLimitPerResponse(7)).allTopicNames());
            Check.equal(seen.keySet(), new HashSet<>(names));
            Check.that(seen.values().stream().allMatch(t -> t.partitions().size() == 10), "partitions are missing");
            Target.done(admin.deleteTopics(names).all());
        }
    }

    @Suite.Case(order = 3)
    static void wrongTopicsAreRefusedWithTheReason() throws Exception {
        String topic = Target.topic(1);
        String fresh = Target.name();
        try (Admin admin = Target.admin()) {
            Map<NewTopic, Class<? extends Exception>> wrong = new HashMap<>();
            wrong.put(new NewTopic(topic, 1, (short) 1), TopicExistsException.class);
            wrong.put(new NewTopic("with space", 1, (short) 1), InvalidTopicException.class);
            wrong.put(new NewTopic("x".repeat(250), 1, (short) 1), InvalidTopicException.class);
            wrong.put(new NewTopic(fresh, 0, (short) 1), InvalidPartitionsException.class);
            wrong.put(new NewTopic(fresh, 1, (short) 7), InvalidReplicationFactorException.class);
            wrong.put(new NewTopic(fresh, 1, (short) 1).configs(Map.of("retention.ms", "x")), InvalidConfigurationException.class);
            wrong.put(new NewTopic(fresh, 1, (short) 1).configs(Map.of("no.such.config", "1")), InvalidConfigurationException.class);
            wrong.put(new NewTopic(fresh, Map.of(0, List.of(999))), InvalidReplicaAssignmentException.class);
            for (Map.Entry<NewTopic, Class<? extends Exception>> e : wrong.entrySet()) {
                Check.refused(e.getValue(), () -> Target.done(admin.createTopics(List.of(e.getKey())).all()));
            }
            Target.done(admin.createTopics(List.of(new NewTopic(fresh, 2, (short) 1)), new CreateTopicsOptions().validateOnly(true)).all());
            Check.that(!Target.done(admin.listTopics().names()).contains(fresh), "a refused topic was made");
            Check.refused(UnknownTopicOrPartitionException.class, () -> Target.done(admin.deleteTopics(List.of(fresh)).all()));
            // The default number of partitions and of replicas.
            Target.done(admin.createTopics(List.of(new NewTopic(fresh, java.util.Optional.empty(), java.util.Optional.empty()))).all());
            Check.equal(describe(admin, fresh).partitions().size(), 4);
        }
    }

    @Suite.Case(order = 4)
    static void partitionsAreAddedAndUsed() throws Exception {
        String topic = Target.topic(1);
        try (Admin admin = Target.admin()) {
            Target.done(admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(5))).all());
            Check.equal(describe(admin, topic).partitions().size(), 5);
            Check.equal(Target.send(topic, 4, "new"), List.of(0L));
            for (int n : new int[] {5, 2}) {
                Check.refused(InvalidPartitionsException.class, () -> Target.done(admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(n))).all()));
            }
            Check.refused(UnknownTopicOrPartitionException.class,
                () -> Target.done(admin.createPartitions(Map.of(Target.name(), NewPartitions.increaseTo(5))).all()));
        }
    }

    private static Config config(Admin admin, ConfigResource r) throws Exception {
        return Target.done(admin.describeConfigs(List.of(r), new DescribeConfigsOptions().includeSynonyms(true).includeDocumentation(true)).all()).get(r);
    }

    private static Callable<Void> alter(Admin admin, ConfigResource r, OpType op, String name, String value) {
        Collection<AlterConfigOp> ops = List.of(new AlterConfigOp(new ConfigEntry(name, value), op));
        return () -> Target.done(admin.incrementalAlterConfigs(Map.of(r, ops)).all());
    }

    @Suite.Case(order = 5)
    static void topicConfigs() throws Exception {
        String topic = Target.topic(1);
        ConfigResource r = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        try (Admin admin = Target.admin()) {
            Config all = config(admin, r);
            Check.that(all.entries().size() >= 28, "%d configs", all.entries().size());
            ConfigEntry retention = all.get("retention.ms");
            Check.equal(List.of(retention.value(), retention.source(), retention.type()),
                List.of("604800000", ConfigSource.DEFAULT_CONFIG, ConfigEntry.ConfigType.LONG));
            Check.that(all.entries().stream().allMatch(e -> e.documentation() != null && !e.documentation().isEmpty()), "a config without a word");
            alter(admin, r, OpType.SET, "retention.ms", "5000").call();
            retention = config(admin, r).get("retention.ms");
            Check.equal(List.of(retention.value(), retention.source()), List.of("5000", ConfigSource.DYNAMIC_TOPIC_CONFIG));
            Check.equal(retention.synonyms().get(0).source(), ConfigSource.DYNAMIC_TOPIC_CONFIG);
            alter(admin, r, OpType.APPEND, "cleanup.policy", "compact").call();
            Check.equal(Set.of(config(admin, r).get("cleanup.policy").value().split(",")), Set.of("delete", "compact"));
            alter(admin, r, OpType.SUBTRACT, "cleanup.policy", "delete").call();
            Check.equal(config(admin, r).get("cleanup.policy").value(), "compact");
            alter(admin, r, OpType.DELETE, "retention.ms", "").call();
            Check.equal(config(admin, r).get("retention.ms").value(), "604800000");
            Check.refused(InvalidConfigurationException.class, alter(admin, r, OpType.SET, "retention.ms", "soon"));
            Check.refused(InvalidConfigurationException.class, alter(admin, r, OpType.SET, "no.such.config", "1"));
            ConfigResource absent = new ConfigResource(ConfigResource.Type.TOPIC, Target.name());
            Check.refused(UnknownTopicOrPartitionException.class, alter(admin, absent, OpType.SET, "retention.ms", "5000"));
            Check.refused(UnknownTopicOrPartitionException.class, () -> config(admin, absent));
        }
    }

    @Suite.Case(order = 6)
    static void brokerConfigs() throws Exception {
        try (Admin admin = Target.admin()) {
            String node = Target.done(admin.describeCluster().controller()).idString();
            ConfigResource one = new ConfigResource(ConfigResource.Type.BROKER, node);
            ConfigResource all = new ConfigResource(ConfigResource.Type.BROKER, "");
            String before = config(admin, one).get("message.max.bytes").value();
            Check.that(config(admin, one).entries().size() > 150, "%d configs", config(admin, one).entries().size());
            Check.that(config(admin, one).get("node.id").isReadOnly(), "node.id may be written");
            alter(admin, all, OpType.SET, "message.max.bytes", "1500000").call();
            Check.equal(config(admin, all).get("message.max.bytes").value(), "1500000");
            if (Target.isMillrun()) { // Kafka's broker hears of it later
                Check.equal(config(admin, one).get("message.max.bytes").source(), ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG);
                alter(admin, one, OpType.SET, "message.max.bytes", "1600000").call();
                ConfigEntry entry = config(admin, one).get("message.max.bytes");
                Check.equal(List.of(entry.value(), entry.source()), List.of("1600000", ConfigSource.DYNAMIC_BROKER_CONFIG));
                alter(admin, one, OpType.DELETE, "message.max.bytes", "").call();
                alter(admin, all, OpType.DELETE, "message.max.bytes", "").call();
                Check.equal(config(admin, one).get("message.max.bytes").value(), before);
            } else {
                alter(admin, all, OpType.DELETE, "message.max.bytes", "").call();
            }
            Check.refused(Exception.class, alter(admin, one, OpType.SET, "node.id", "7"));
        }
    }

    @Suite.Case(order = 7)
    static void offsetsOfEverySpecialKind() throws Exception {
        String topic = Target.topic(1);
        TopicPartition tp = new TopicPartition(topic, 0);
        try (Admin admin = Target.admin(); KafkaProducer<byte[], byte[]> p = Target.producer()) {
            for (long at : new long[] {1000, 5000, 3000, 4000}) {
                Target.done(p.send(new ProducerRecord<>(topic, 0, at, null, Target.bytes("x"))));
            }
            Map<OffsetSpec, Long> want = new HashMap<>();
            want.put(OffsetSpec.earliest(), 0L);
            want.put(OffsetSpec.latest(), 4L);
            want.put(OffsetSpec.maxTimestamp(), 1L);
            want.put(OffsetSpec.earliestLocal(), 0L);
            want.put(OffsetSpec.latestTiered(), -1L);
            want.put(OffsetSpec.forTimestamp(2000), 1L);
            want.put(OffsetSpec.forTimestamp(9000), -1L);
            for (Map.Entry<OffsetSpec, Long> e : want.entrySet()) {
                ListOffsetsResultInfo got = Target.done(admin.listOffsets(Map.of(tp, e.getKey())).all()).get(tp);
                Check.that(got.offset() == e.getValue(), "%s: %s, want %d", e.getKey().getClass().getSimpleName(), got, e.getValue());
            }
        }
    }

    @Suite.Case(order = 8)
    static void deletedRecordsAreGone() throws Exception {
        String topic = Target.topic(1);
        TopicPartition tp = new TopicPartition(topic, 0);
        Target.send(topic, 0, Target.numbers(10));
        try (Admin admin = Target.admin(); KafkaConsumer<byte[], byte[]> c = Target.reader(topic, 0)) {
            Check.equal(Target.done(admin.deleteRecords(Map.of(tp, RecordsToDelete.beforeOffset(6))).lowWatermarks().get(tp)).lowWatermark(), 6L);
            Check.equal(Target.texts(Target.read(c, 4)), List.of("6", "7", "8", "9"));
            Check.equal(c.beginningOffsets(List.of(tp)), Map.of(tp, 6L));
            Check.refused(OffsetOutOfRangeException.class,
                () -> Target.done(admin.deleteRecords(Map.of(tp, RecordsToDelete.beforeOffset(11))).all()));
            Check.equal(Target.done(admin.deleteRecords(Map.of(tp, RecordsToDelete.beforeOffset(-1))).lowWatermarks().get(tp)).lowWatermark(), 10L);
        }
    }

    @Suite.Case(order = 9)
    static void theClusterDescribesItself() throws Exception {
        String topic = Target.topic(2);
        Target.send(topic, 1, "x".repeat(1000));
        try (Admin admin = Target.admin()) {
            DescribeClusterResult cluster = admin.describeCluster();
            int node = Target.done(cluster.controller()).id();
            Check.equal(Target.done(cluster.nodes()).stream().map(n -> n.id()).toList(), List.of(node));
            Check.that(!Target.done(cluster.clusterId()).isEmpty(), "no cluster id");
            Map<String, LogDirDescription> dirs = Target.done(admin.describeLogDirs(List.of(node)).allDescriptions()).get(node);
            LogDirDescription dir = dirs.values().iterator().next();
            Check.that(dir.error() == null && dir.totalBytes().getAsLong() > dir.usableBytes().getAsLong(), "%s", dir);
            Check.that(dir.replicaInfos().get(new TopicPartition(topic, 1)).size() > 1000, "%s", dir.replicaInfos());
            Check.that(Target.done(admin.describeFeatures().featureMetadata()) != null, "no features");
        }
    }
}
