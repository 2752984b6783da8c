"""confluent-kafka: librdkafka, bound to Python."""
import threading
import time

import pytest
from confluent_kafka import (OFFSET_BEGINNING, OFFSET_END, OFFSET_INVALID, TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME, Consumer,
                             ConsumerGroupState, ConsumerGroupTopicPartitions, KafkaError, KafkaException, Producer, TopicCollection,
                             TopicPartition)
from confluent_kafka.admin import (AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ConfigSource, NewPartitions, NewTopic,
                                   OffsetSpec, ResourceType)

from ledger import CODECS, Ledger, headers, shares, value


@pytest.fixture
def admin(bootstrap):
    return AdminClient({"bootstrap.servers": bootstrap})


def done(futures):
    """Waits for what an admin call asked for; raises what went wrong."""
    return {k: f.result(30) for k, f in futures.items()}


def refused(futures):
    """The code with which the one thing that was asked for was refused."""
    (future,) = futures.values()
    with pytest.raises(KafkaException) as e:
        future.result(30)
    return e.value.args[0].code()


@pytest.fixture
def topic(admin, name):
    done(admin.create_topics([NewTopic(name, 1, 1)]))
    return name


class Sender:
    """A producer that keeps every acknowledgement: offset or error code."""

    def __init__(self, bootstrap, **config):
        self.acks, self.timestamps = [], []
        self.p = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, **{k.replace("_", "."): v for k, v in config.items()}})

    def acked(self, err, msg):
        self.acks.append(err.code() if err else msg.offset())
        self.timestamps.append(msg.timestamp())

    def send(self, topic, v=None, key=None, **kw):
        while True:
            try:
                return self.p.produce(topic, v, key, on_delivery=self.acked, **kw)
            except BufferError:
                self.p.poll(0.1)

    def flushed(self):
        assert self.p.flush(60) == 0
        got, self.acks = self.acks, []
        return got


@pytest.fixture
def producer(bootstrap):
    return Sender(bootstrap)


@pytest.fixture
def consumer(bootstrap):
    """A function that makes consumers and closes them at the end."""
    made = []

    def make(group="unused", **config):
        made.append(Consumer({
            "bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False,
            "heartbeat.interval.ms": 250, "topic.metadata.refresh.interval.ms": 1000, **{k.replace("_", "."): v for k, v in config.items()}}))
        return made[-1]

    yield make
    for c in made:
        c.close()


def at(c, topic, offset=OFFSET_BEGINNING, partition=0):
    c.assign([TopicPartition(topic, partition, offset)])
    return c


def read(c, n, seconds=30):
    """The next n records, in the order of arrival."""
    got, end = [], time.monotonic() + seconds
    while len(got) < n and time.monotonic() < end:
        for m in c.consume(n - len(got), 0.5):
            if m.error():
                raise KafkaException(m.error())
            got.append(m)
    assert len(got) == n, f"{len(got)} of {n} records after {seconds} s"
    return got


class Polled(threading.Thread):
    """A member that is polled on a thread of its own, as in an application; remembers what rebalances took from it."""

    def __init__(self, c, topic, cooperative=False):
        super().__init__()
        self.c, self.ended, self.taken = c, threading.Event(), []
        self.parts, self.error = set(), None
        self.cooperative = cooperative
        c.subscribe([topic], on_assign=self.assign, on_revoke=self.revoke)
        self.start()

    def assign(self, c, parts):
        if self.cooperative:
            self.parts |= {p.partition for p in parts}
        else:
            self.parts = {p.partition for p in parts}

    def revoke(self, c, parts):
        self.parts -= {p.partition for p in parts}
        self.taken.append(len(parts))

    def run(self):
        try:
            while not self.ended.is_set():
                m = self.c.poll(0.1)
                if m and m.error():
                    raise KafkaException(m.error())
        except Exception as e:
            self.error = e

    def close(self):
        self.ended.set()
        self.join()
        self.c.close()
        assert self.error is None, self.error


@pytest.fixture
def polled(consumer):
    made = []

    def make(group, topic, **config):
        made.append(Polled(consumer(group, **config), topic, cooperative=config.get("partition_assignment_strategy") == "cooperative-sticky"))
        return made[-1]

    yield make
    for m in made:
        m.close()


def described(admin, group):
    return done(admin.describe_consumer_groups([group]))[group]


def shared(admin, group, *members, parts):
    """Waits until each member has its part and the group has come to rest; gives what the broker says of it."""
    end = time.monotonic() + 30
    while True:
        seen = described(admin, group)
        if [len(m.parts) for m in members] == parts and seen.state == ConsumerGroupState.STABLE:
            return seen
        assert time.monotonic() < end, f"{[m.parts for m in members]}, {seen.state} after 30 s"
        time.sleep(0.01)


class Member(threading.Thread):
    """Takes records into the ledger; holds back at `hold` records until the second member has partitions too."""

    def __init__(self, who, c, topic, ledger, stop, hold, both):
        super().__init__(name=who)
        self.c, self.ledger, self.stop, self.hold, self.both = c, ledger, stop, hold, both
        self.error = None
        c.subscribe([topic], on_assign=self.assigned, on_revoke=lambda c, parts: None)

    def assigned(self, c, parts):
        if self.name == "second" and parts:
            self.both.set()

    def run(self):
        try:
            while not self.stop.is_set():
                if self.ledger.count >= self.hold and not self.both.is_set():
                    self.c.pause(self.c.assignment())
                elif self.hold < self.ledger.total and self.both.is_set():
                    self.c.resume(self.c.assignment())
                got = self.c.consume(1000, 0.1)
                for m in got:
                    if m.error():
                        raise KafkaException(m.error())
                    self.ledger.take(self.name, m.partition(), m.offset(), m.value())
                if got:
                    # Nothing is taken and not committed when the next call gives partitions away.
                    self.c.commit(asynchronous=False)
        except Exception as e:
            self.error = e
            self.stop.set()


def test_100000_records_through_a_group_that_rebalances_in_the_middle(bootstrap, admin, consumer, name):
    total = 100_000
    done(admin.create_topics([NewTopic(name, 8, 1)]))
    for codec, share in zip(CODECS, shares(total, len(CODECS))):
        p = Sender(bootstrap, compression_type=codec or "none")
        for i in share:
            p.send(name, value(i), b"%d" % i)
        assert min(p.flushed()) >= 0
    ledger, stop, both = Ledger(total), threading.Event(), threading.Event()
    first = Member("first", consumer(name), name, ledger, stop, total * 2 // 5, both)
    first.start()
    second = None
    end = time.monotonic() + 150
    while not ledger.done and time.monotonic() < end and not stop.is_set():
        if second is None and ledger.count >= total * 2 // 5:
            second = Member("second", consumer(name), name, ledger, stop, total, both)
            second.start()
        stop.wait(0.02)
    stop.set()
    for m in (first, second):
        m.join(30)
        assert m.error is None and not m.is_alive(), m.error
    ledger.check()
    assert set(ledger.by) == {"first", "second"}
    tps = [TopicPartition(name, p) for p in range(8)]
    committed = {tp.partition: tp.offset for tp in first.c.committed(tps, timeout=30)}
    assert committed == {tp.partition: first.c.get_watermark_offsets(tp)[1] for tp in tps}
    # The second leaves and gives its half back.
    second.c.close()
    end = time.monotonic() + 30
    while len(first.c.assignment()) != 8:
        assert time.monotonic() < end
        first.c.poll(0.1)


@pytest.mark.parametrize("codec", CODECS, ids=str)
def test_what_is_sent_arrives_as_it_was(bootstrap, topic, consumer, codec):
    now = int(time.time() * 1000)
    sent = [
        (b"key", b"value", headers(1), now),
        (None, b"no key", None, now - 1),
        (b"null value", None, [("h", b"\x00\xff")], now + 5),
        (b"", b"", [("", b"")], 1),
        ("ключ".encode(), "値".encode(), [("заголовок", "頭".encode())], 2),
        (None, None, [("null", None)], now),
        (b"large", b"0123456789" * 20_000, [("many", b"%d" % i) for i in range(100)], now),
    ]
    p = Sender(bootstrap, compression_type=codec or "none", linger_ms=50)
    for k, v, h, t in sent:
        p.send(topic, v, k, headers=h, partition=0, timestamp=t)
    assert p.flushed() == list(range(len(sent)))
    got = read(at(consumer(), topic), len(sent))
    assert [(m.key(), m.value(), m.headers(), m.timestamp()) for m in got] == [(k, v, h, (TIMESTAMP_CREATE_TIME, t)) for k, v, h, t in sent]
    assert [m.offset() for m in got] == list(range(len(sent)))


def test_log_append_time_replaces_the_clients_clock(bootstrap, admin, consumer, name):
    done(admin.create_topics([NewTopic(name, 1, 1, config={"message.timestamp.type": "LogAppendTime"})]))
    p = Sender(bootstrap, compression_type="lz4")
    before = int(time.time() * 1000)
    for _ in range(3):
        p.send(name, b"x", timestamp=7)
    assert p.flushed() == [0, 1, 2]
    after = int(time.time() * 1000)
    got = read(at(consumer(), name), 3)
    assert [m.timestamp() for m in got] == p.timestamps
    assert all(kind == TIMESTAMP_LOG_APPEND_TIME and before <= t <= after for kind, t in p.timestamps)


@pytest.mark.parametrize("acks", ["0", "1", "all"])
def test_acks(bootstrap, topic, consumer, acks):
    p = Sender(bootstrap, acks=acks)
    for i in range(20):
        p.send(topic, b"%d" % i)
    answered = p.flushed()
    assert len(answered) == 20 and (acks == "0" or answered == list(range(20)))
    assert [m.value() for m in read(at(consumer(), topic), 20)] == [b"%d" % i for i in range(20)]


def test_an_idempotent_producer_with_five_requests_in_flight_keeps_the_order(bootstrap, topic, consumer):
    p = Sender(bootstrap, enable_idempotence=True, batch_num_messages=10, linger_ms=0)
    for i in range(5000):
        p.send(topic, b"%04d" % i)
    assert p.flushed() == list(range(5000))
    assert [m.value() for m in read(at(consumer(), topic), 5000)] == [b"%04d" % i for i in range(5000)]


def test_seeks_by_offset_and_by_time(topic, producer, consumer):
    for i in range(100):
        producer.send(topic, b"%d" % i, timestamp=1_000_000 + 10 * i)
    assert producer.flushed() == list(range(100))
    c = at(consumer(), topic, 42)
    assert read(c, 1)[0].value() == b"42"
    c.seek(TopicPartition(topic, 0, 7))
    assert read(c, 1)[0].value() == b"7"
    c.seek(TopicPartition(topic, 0, OFFSET_BEGINNING))
    assert read(c, 1)[0].value() == b"0"
    assert c.get_watermark_offsets(TopicPartition(topic, 0)) == (0, 100)
    for asked, offset in ((0, 0), (1_000_500, 50), (1_000_501, 51), (1_000_990, 99), (1_000_991, OFFSET_END)):
        assert c.offsets_for_times([TopicPartition(topic, 0, asked)], timeout=30)[0].offset == offset


def test_an_offset_out_of_range_is_an_error_or_a_reset(topic, producer, consumer):
    producer.send(topic, b"only")
    producer.flushed()
    with pytest.raises(KafkaException) as e:
        read(at(consumer(auto_offset_reset="error"), topic, 1000), 1)
    assert e.value.args[0].code() == KafkaError._AUTO_OFFSET_RESET
    assert read(at(consumer(), topic, 1000), 1)[0].value() == b"only"


def test_the_end_of_a_partition_is_told(topic, producer, consumer):
    producer.send(topic, b"only")
    producer.flushed()
    c = at(consumer(enable_partition_eof=True), topic)
    read(c, 1)
    end = c.poll(30)
    assert (end.error().code(), end.offset()) == (KafkaError._PARTITION_EOF, 1)


def test_a_waiting_consumer_gets_a_record_at_once(topic, producer, consumer):
    c = at(consumer(fetch_wait_max_ms=20_000, fetch_min_bytes=1), topic)
    assert c.poll(0.5) is None
    producer.send(topic, b"now")
    producer.flushed()
    began = time.monotonic()
    assert read(c, 1)[0].value() == b"now"
    assert time.monotonic() - began < 10


def test_the_first_record_makes_the_topic_with_four_partitions(name, producer, consumer, admin):
    producer.send(name, b"first", partition=3)
    assert producer.flushed() == [0]
    assert sorted(admin.list_topics(name, timeout=30).topics[name].partitions) == [0, 1, 2, 3]
    assert read(at(consumer(), name, partition=3), 1)[0].value() == b"first"


def test_commits_outlive_the_consumer_and_carry_their_text(topic, producer, consumer):
    for i in range(10):
        producer.send(topic, b"%d" % i)
    producer.flushed()
    c = consumer(topic)
    c.subscribe([topic])
    read(c, 4)
    c.commit(offsets=[TopicPartition(topic, 0, 4, "four, да")], asynchronous=False)
    c.close()
    again = consumer(topic)
    again.subscribe([topic])
    assert read(again, 1)[0].value() == b"4"
    tp = again.committed([TopicPartition(topic, 0)], timeout=30)[0]
    assert (tp.offset, tp.metadata) == (4, "four, да")


def test_a_commit_without_a_member_is_taken(topic, consumer):
    c = consumer(topic)
    c.commit(offsets=[TopicPartition(topic, 0, 17)], asynchronous=False)
    assert c.committed([TopicPartition(topic, 0)], timeout=30)[0].offset == 17
    assert consumer(topic + "-other").committed([TopicPartition(topic, 0)], timeout=30)[0].offset == OFFSET_INVALID


@pytest.mark.parametrize("strategy", ["range", "roundrobin", "cooperative-sticky"])
def test_two_members_share_the_partitions(admin, polled, name, strategy):
    done(admin.create_topics([NewTopic(name, 6, 1)]))
    a = polled(name, name, partition_assignment_strategy=strategy)
    shared(admin, name, a, parts=[6])
    b = polled(name, name, partition_assignment_strategy=strategy)
    seen = shared(admin, name, a, b, parts=[3, 3])
    assert a.parts | b.parts == set(range(6))
    assert (seen.partition_assignor, len(seen.members), seen.is_simple_consumer_group) == (strategy, 2, False)
    assert {len(m.assignment.topic_partitions) for m in seen.members} == {3}
    # A cooperative member gives up what moves and keeps the rest; an eager one gives up all.
    assert max(a.taken) == (3 if strategy == "cooperative-sticky" else 6)
    b.close()
    shared(admin, name, a, parts=[6])


def test_a_static_member_comes_back_without_a_rebalance(admin, polled, name):
    done(admin.create_topics([NewTopic(name, 4, 1)]))
    a = polled(name, name, group_instance_id="a", session_timeout_ms=20_000)
    b = polled(name, name, group_instance_id="b", session_timeout_ms=20_000)
    shared(admin, name, a, b, parts=[2, 2])
    had, taken = set(b.parts), len(a.taken)
    b.close()  # a static member does not leave
    again = polled(name, name, group_instance_id="b", session_timeout_ms=20_000)
    seen = shared(admin, name, a, again, parts=[2, 2])
    assert again.parts == had and len(a.taken) == taken
    assert sorted(m.group_instance_id for m in seen.members) == ["a", "b"]


def test_a_second_member_of_the_same_name_fences_the_first(topic, consumer):
    first, second = (consumer(topic, group_instance_id="same", session_timeout_ms=20_000) for _ in range(2))
    first.subscribe([topic])
    end = time.monotonic() + 30
    while not first.assignment():
        assert time.monotonic() < end
        first.poll(0.1)
    second.subscribe([topic])
    fenced = None
    while fenced is None:
        assert time.monotonic() < end + 30
        second.poll(0.05)
        m = first.poll(0.05)
        fenced = m and m.error()
    assert fenced.code() in (KafkaError._FATAL, KafkaError.FENCED_INSTANCE_ID) and "fenced" in fenced.str(), fenced


def test_topics_are_created_described_and_deleted_and_every_answer_is_final(admin, producer, consumer, name):
    ids = set()
    for round in range(5):
        done(admin.create_topics([NewTopic(name, 3, 1, config={"retention.ms": "1234567"})]))
        seen = done(admin.describe_topics(TopicCollection([name])))[name]
        assert [p.id for p in seen.partitions] == [0, 1, 2] and all(p.leader.id == p.isr[0].id for p in seen.partitions)
        ids.add(str(seen.topic_id))
        fresh = Sender(producer_address(admin))
        fresh.send(name, b"%d" % round, partition=2)
        assert fresh.flushed() == [0]
        c = consumer()
        assert [m.value() for m in read(at(c, name, partition=2), 1)] == [b"%d" % round]
        c.close()
        done(admin.delete_topics([name]))
        assert name not in admin.list_topics(timeout=30).topics
    assert len(ids) == 5


def producer_address(admin):
    (broker,) = admin.list_topics(timeout=30).brokers.values()
    return f"{broker.host}:{broker.port}"


def test_partitions_are_added_and_used(bootstrap, admin, topic, consumer):
    done(admin.create_partitions([NewPartitions(topic, 5)]))
    assert len(admin.list_topics(topic, timeout=30).topics[topic].partitions) == 5
    p = Sender(bootstrap)
    p.send(topic, b"new", partition=4)
    assert p.flushed() == [0]
    assert read(at(consumer(), topic, partition=4), 1)[0].value() == b"new"
    assert refused(admin.create_partitions([NewPartitions(topic, 5)])) == KafkaError.INVALID_PARTITIONS
    assert refused(admin.create_partitions([NewPartitions(topic + "-absent", 5)])) == KafkaError.UNKNOWN_TOPIC_OR_PART


def configs(admin, kind, name):
    (future,) = admin.describe_configs([ConfigResource(kind, name)]).values()
    return future.result(30)


def test_topic_configs(admin, topic):
    def alter(**entries):
        return ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[
            ConfigEntry(k.replace("_", "."), v, incremental_operation=op) for k, (op, v) in entries.items()])

    everything = configs(admin, ResourceType.TOPIC, topic)
    assert everything["retention.ms"].value == "604800000" and everything["retention.ms"].source == ConfigSource.DEFAULT_CONFIG.value
    assert len(everything) >= 28
    done(admin.incremental_alter_configs([alter(retention_ms=(AlterConfigOpType.SET, "5000"), cleanup_policy=(AlterConfigOpType.APPEND, "compact"))]))
    seen = configs(admin, ResourceType.TOPIC, topic)
    assert (seen["retention.ms"].value, seen["retention.ms"].source) == ("5000", ConfigSource.DYNAMIC_TOPIC_CONFIG.value)
    assert set(seen["cleanup.policy"].value.split(",")) == {"delete", "compact"}
    assert refused(admin.incremental_alter_configs([alter(retention_ms=(AlterConfigOpType.SET, "soon"))])) == KafkaError.INVALID_CONFIG
    assert refused(admin.incremental_alter_configs([alter(no_such_config=(AlterConfigOpType.SET, "1"))])) == KafkaError.INVALID_CONFIG
    done(admin.incremental_alter_configs([alter(retention_ms=(AlterConfigOpType.DELETE, None), cleanup_policy=(AlterConfigOpType.SUBTRACT, "compact"))]))
    seen = configs(admin, ResourceType.TOPIC, topic)
    assert (seen["retention.ms"].value, seen["cleanup.policy"].value) == ("604800000", "delete")


def test_broker_configs_are_listed_and_change_at_run_time(admin):
    (node,) = admin.list_topics(timeout=30).brokers
    listed = configs(admin, ResourceType.BROKER, str(node))
    assert len(listed) > 150 and listed["node.id"].is_read_only

    def alter(op, v):
        done(admin.incremental_alter_configs([ConfigResource(ResourceType.BROKER, str(node), incremental_configs=[
            ConfigEntry("message.max.bytes", v, incremental_operation=op)])]))
        return configs(admin, ResourceType.BROKER, str(node))["message.max.bytes"]

    changed = alter(AlterConfigOpType.SET, "1500000")
    assert (changed.value, changed.source) == ("1500000", ConfigSource.DYNAMIC_BROKER_CONFIG.value)
    assert alter(AlterConfigOpType.DELETE, None).value == listed["message.max.bytes"].value


def test_groups_are_listed_their_offsets_moved_and_they_are_deleted(admin, topic, producer, consumer):
    def states():
        return {g.group_id: g.state for g in admin.list_consumer_groups().result(30).valid}

    def offset():
        (future,) = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(topic)]).values()
        return [tp.offset for tp in future.result(30).topic_partitions]

    for i in range(10):
        producer.send(topic, b"%d" % i)
    producer.flushed()
    c = consumer(topic)
    c.subscribe([topic])
    read(c, 10)
    c.commit(asynchronous=False)
    assert states()[topic] == ConsumerGroupState.STABLE
    assert refused(admin.delete_consumer_groups([topic])) == KafkaError.NON_EMPTY_GROUP
    c.close()
    assert states()[topic] == ConsumerGroupState.EMPTY
    assert offset() == [10]
    done(admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(topic, [TopicPartition(topic, 0, 4)])]))
    assert offset() == [4]
    again = consumer(topic)
    again.subscribe([topic])
    assert read(again, 1)[0].value() == b"4"
    again.close()
    done(admin.delete_consumer_groups([topic]))
    assert topic not in states()
    assert refused(admin.delete_consumer_groups([topic])) == KafkaError.GROUP_ID_NOT_FOUND


def test_deleted_records_are_gone(admin, topic, producer, consumer):
    for i in range(10):
        producer.send(topic, b"%d" % i)
    producer.flushed()
    (deleted,) = done(admin.delete_records([TopicPartition(topic, 0, 6)])).values()
    assert deleted.low_watermark == 6
    c = at(consumer(), topic)
    assert read(c, 1)[0].value() == b"6"
    assert c.get_watermark_offsets(TopicPartition(topic, 0)) == (6, 10)
    assert refused(admin.delete_records([TopicPartition(topic, 0, 11)])) == KafkaError.OFFSET_OUT_OF_RANGE
    for spec, expected in ((OffsetSpec.earliest(), 6), (OffsetSpec.latest(), 10)):
        (found,) = done(admin.list_offsets({TopicPartition(topic, 0): spec})).values()
        assert found.offset == expected


def test_the_cluster_describes_itself(admin):
    cluster = admin.describe_cluster().result(30)
    assert cluster.cluster_id and cluster.controller.id in [n.id for n in cluster.nodes]
    assert admin.list_topics(timeout=30).cluster_id == cluster.cluster_id


def test_large_records_are_taken_up_to_the_limit(bootstrap, admin, consumer, name):
    done(admin.create_topics([NewTopic(name, 1, 1, config={"max.message.bytes": "3000000"}), NewTopic(name + "-default", 1, 1)]))
    p = Sender(bootstrap, message_max_bytes=10_000_000, enable_idempotence=False)
    for topic, size in ((name, 2_900_000), (name, 3_100_000), (name + "-default", 1_100_000), (name, 5)):
        p.send(topic, b"x" * size)
        p.p.flush(30)
    assert p.flushed() == [0, KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.MSG_SIZE_TOO_LARGE, 1]
    # Larger than what the consumer asks for: it gets the one batch all the same.
    c = at(consumer(fetch_message_max_bytes=1000, fetch_max_bytes=1000, message_max_bytes=1000), name)
    assert [len(m.value()) for m in read(c, 2)] == [2_900_000, 5]


def test_an_unknown_topic_is_an_error(bootstrap, admin, consumer, topic):
    unknown = topic + "-absent"
    c = consumer(unknown, allow_auto_create_topics=False)
    c.subscribe([unknown])
    with pytest.raises(KafkaException) as e:
        read(c, 1)
    assert e.value.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART
    assert refused(admin.delete_topics([unknown])) == KafkaError.UNKNOWN_TOPIC_OR_PART
    assert refused(admin.describe_topics(TopicCollection([unknown]))) == KafkaError.UNKNOWN_TOPIC_OR_PART
    assert unknown not in admin.list_topics(timeout=30).topics
    p = Sender(bootstrap)
    p.send(topic, b"x", partition=9)
    assert p.flushed() == [KafkaError._UNKNOWN_PARTITION]


def test_wrong_topics_are_refused_with_the_reason(admin, topic):
    new = topic + "-new"
    for spec, code in (
        (NewTopic(topic, 1, 1), KafkaError.TOPIC_ALREADY_EXISTS),
        (NewTopic("with space", 1, 1), KafkaError.TOPIC_EXCEPTION),
        (NewTopic(new, 1, 7), KafkaError.INVALID_REPLICATION_FACTOR),
        (NewTopic(new, 1, 1, config={"retention.ms": "x"}), KafkaError.INVALID_CONFIG),
        (NewTopic(new, 1, replica_assignment=[[999]]), KafkaError.INVALID_REPLICA_ASSIGNMENT),
    ):
        assert refused(admin.create_topics([spec])) == code
    done(admin.create_topics([NewTopic(new, 2, 1)], validate_only=True))
    assert new not in admin.list_topics(timeout=30).topics


def test_a_transactional_producer_is_refused_at_once(bootstrap, topic, ours):
    p = Producer({"bootstrap.servers": bootstrap, "transactional.id": topic})
    began = time.monotonic()
    with pytest.raises(KafkaException) as e:
        p.init_transactions(30)
    assert e.value.args[0].code() != KafkaError._TIMED_OUT and not e.value.args[0].retriable(), e.value
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("isolation", ["read_committed", "read_uncommitted"])
def test_both_isolation_levels_read_what_is_not_transactional(topic, producer, consumer, isolation):
    producer.send(topic, b"x")
    producer.flushed()
    assert read(at(consumer(isolation_level=isolation), topic), 1)[0].value() == b"x"
