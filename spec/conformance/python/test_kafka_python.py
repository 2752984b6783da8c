"""kafka-python: producer, consumer and admin client written in Python."""
import threading
import time
import uuid
from contextlib import closing

import pytest
from kafka import (ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetAndMetadata,
                   OffsetSpec, TopicPartition, errors)
from kafka.admin import ConfigResource, MemberToRemove
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

from ledger import CODECS, Ledger, headers, shares, value

CREATE_TIME, LOG_APPEND_TIME = 0, 1


@pytest.fixture
def admin(bootstrap):
    with closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as a:
        yield a


@pytest.fixture
def topic(admin, name):
    admin.create_topics({name: {"num_partitions": 1, "replication_factor": 1}})
    return name


@pytest.fixture
def producer(bootstrap):
    with closing(KafkaProducer(bootstrap_servers=bootstrap)) as p:
        yield p


@pytest.fixture
def consumer(bootstrap):
    """A function that makes consumers and closes them at the end."""
    made = []

    def make(*topics, **config):
        config.setdefault("auto_offset_reset", "earliest")
        config.setdefault("enable_auto_commit", False)
        config.setdefault("heartbeat_interval_ms", 250)
        made.append(KafkaConsumer(*topics, bootstrap_servers=bootstrap, **config))
        return made[-1]

    yield make
    for c in made:
        c.close()


def read(c, n, seconds=30):
    """The next n records, in the order of arrival."""
    got, end = [], time.monotonic() + seconds
    while len(got) < n and time.monotonic() < end:
        for records in c.poll(timeout_ms=500, max_records=n - len(got)).values():
            got += records
    assert len(got) == n, f"{len(got)} of {n} records after {seconds} s"
    return got


def assigned(c, *partitions):
    c.assign(list(partitions))
    return c


class Polled(threading.Thread):
    """A consumer that is polled on a thread of its own, as in an application."""

    def __init__(self, c):
        super().__init__()
        self.c, self.ended, self.error = c, threading.Event(), None
        self.start()

    def run(self):
        try:
            while not self.ended.is_set():
                self.c.poll(timeout_ms=500)
        except Exception as e:
            self.error = e

    def close(self):
        self.ended.set()
        self.join()
        self.c.close()


@pytest.fixture
def polled(consumer):
    """Like consumer, but on a thread of its own."""
    made = []

    def make(*topics, listener=None, **config):
        c = consumer(**config)
        c.subscribe(topics, listener=listener)
        made.append(Polled(c))
        return made[-1]

    yield make
    for m in made:
        m.close()
        assert m.error is None, m.error


def until(what, seconds=30):
    """Waits for what the clients do by themselves in the background."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, f"not so after {seconds} s"
        time.sleep(0.01)


def shared(admin, group, *members, parts):
    """Waits until each member has its part and the group has come to rest; gives what the broker says of it."""
    until(lambda: [len(m.c.assignment()) for m in members] == parts and admin.describe_groups([group])[group]["group_state"] == "Stable")
    return admin.describe_groups([group])[group]


class Member(threading.Thread):
    """Takes records into the ledger; holds back at `hold` records until the second member has partitions too.
    The client commits what it has given out, by itself, before it gives partitions away."""

    def __init__(self, who, c, topic, ledger, stop, hold, both):
        super().__init__(name=who)
        self.c, self.ledger, self.stop, self.hold, self.both = c, ledger, stop, hold, both
        self.error = None
        c.subscribe([topic])

    def run(self):
        try:
            while not self.stop.is_set():
                if self.ledger.count >= self.hold and not self.both.is_set():
                    self.c.pause(*self.c.assignment())
                for tp, records in self.c.poll(timeout_ms=200, max_records=2000).items():
                    for r in records:
                        self.ledger.take(self.name, tp.partition, r.offset, r.value)
                if self.name == "second" and self.c.assignment():
                    self.both.set()
                if self.both.is_set() and self.c.paused():
                    self.c.resume(*self.c.paused())
            self.c.commit()
        except Exception as e:
            self.error = e
            self.stop.set()


def test_100000_records_through_a_group_that_rebalances_in_the_middle(bootstrap, admin, consumer, name):
    total = 100_000
    admin.create_topics({name: {"num_partitions": 8, "replication_factor": 1}})
    acknowledged = []
    for codec, share in zip(CODECS, shares(total, len(CODECS))):
        with closing(KafkaProducer(bootstrap_servers=bootstrap, compression_type=codec, batch_size=65536, linger_ms=5)) as p:
            acknowledged += [p.send(name, value(i), key=b"%d" % i) for i in share]
    assert all(f.succeeded() for f in acknowledged)

    ledger, stop, both = Ledger(total), threading.Event(), threading.Event()
    first = Member("first", consumer(group_id=name, enable_auto_commit=True), name, ledger, stop, total * 2 // 5, both)
    first.start()
    second = None
    end = time.monotonic() + 150
    while not ledger.done and time.monotonic() < end and not stop.is_set():
        if second is None and ledger.count >= total * 2 // 5:
            second = Member("second", consumer(group_id=name, enable_auto_commit=True), name, ledger, stop, total, both)
            second.start()
        stop.wait(0.02)
    stop.set()
    for m in (first, second):
        m.join(30)
        assert m.error is None and not m.is_alive(), m.error
    ledger.check()
    assert min(ledger.by.values()) > 0 and set(ledger.by) == {"first", "second"}

    committed = admin.list_group_offsets({name: None})[name]
    ends = first.c.end_offsets([TopicPartition(name, p) for p in range(8)])
    assert {tp: o.offset for tp, o in committed.items()} == ends
    # The second leaves and gives its half back.
    second.c.close()
    until(lambda: first.c.poll(timeout_ms=200) is not None and len(first.c.assignment()) == 8)


@pytest.mark.parametrize("codec", CODECS, ids=str)
def test_what_is_sent_arrives_as_it_was(bootstrap, topic, consumer, codec):
    now = int(time.time() * 1000)
    sent = [
        (b"key", b"value", headers(1), now),
        (None, b"no key", [], now - 1),
        (b"null value", None, [("h", b"\x00\xff")], now + 5),
        (b"", b"", [("", b"")], 0),
        ("ключ".encode(), "値".encode(), [("заголовок", "頭".encode())], 1),
        (b"none of the rest", b"", [], now),
        (b"large", b"0123456789" * 20_000, [("many", b"%d" % i) for i in range(100)], now),
    ]
    with closing(KafkaProducer(bootstrap_servers=bootstrap, compression_type=codec, linger_ms=20)) as p:
        futures = [p.send(topic, v, k, headers=h, partition=0, timestamp_ms=t) for k, v, h, t in sent]
        assert [f.get(timeout=30).offset for f in futures] == list(range(len(sent)))
    got = read(assigned(consumer(), TopicPartition(topic, 0)), len(sent))
    assert [(r.key, r.value, list(r.headers), r.timestamp) for r in got] == sent
    assert {r.timestamp_type for r in got} == {CREATE_TIME}
    assert [r.offset for r in got] == list(range(len(sent)))


def test_log_append_time_replaces_the_clients_clock(bootstrap, admin, consumer, name):
    admin.create_topics({name: {"num_partitions": 1, "replication_factor": 1, "configs": {"message.timestamp.type": "LogAppendTime"}}})
    with closing(KafkaProducer(bootstrap_servers=bootstrap, compression_type="gzip")) as p:
        before = int(time.time() * 1000)
        sent = [p.send(name, b"x", timestamp_ms=7) for _ in range(3)]
        answered = [f.get(timeout=30).timestamp for f in sent]
        after = int(time.time() * 1000)
    got = read(assigned(consumer(), TopicPartition(name, 0)), 3)
    assert [r.timestamp for r in got] == answered
    assert {r.timestamp_type for r in got} == {LOG_APPEND_TIME}
    assert all(before <= t <= after for t in answered)


@pytest.mark.parametrize("acks", [0, 1, "all"])
def test_acks(bootstrap, topic, consumer, acks):
    with closing(KafkaProducer(bootstrap_servers=bootstrap, acks=acks, enable_idempotence=acks == "all")) as p:
        metadata = [p.send(topic, b"%d" % i).get(timeout=30) for i in range(20)]
    if acks != 0:
        assert [m.offset for m in metadata] == list(range(20))
    assert [r.value for r in read(assigned(consumer(), TopicPartition(topic, 0)), 20)] == [b"%d" % i for i in range(20)]


def test_an_idempotent_producer_with_five_requests_in_flight_keeps_the_order(bootstrap, topic, consumer):
    with closing(KafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, batch_size=200, max_in_flight_requests_per_connection=5)) as p:
        sent = [p.send(topic, b"%04d" % i) for i in range(2000)]
        assert [f.get(timeout=30).offset for f in sent] == list(range(2000))
    assert [r.value for r in read(assigned(consumer(), TopicPartition(topic, 0)), 2000)] == [b"%04d" % i for i in range(2000)]


def test_seeks_by_offset_and_by_time(topic, producer, consumer):
    sent = [producer.send(topic, b"%d" % i, timestamp_ms=1_000_000 + 10 * i) for i in range(100)]
    assert [f.get(timeout=30).offset for f in sent] == list(range(100))
    tp = TopicPartition(topic, 0)
    c = assigned(consumer(), tp)
    c.seek(tp, 42)
    assert read(c, 1)[0].value == b"42"
    c.seek_to_beginning(tp)
    assert read(c, 1)[0].value == b"0"
    c.seek_to_end(tp)
    assert c.position(tp) == 100
    assert c.beginning_offsets([tp]) == {tp: 0} and c.end_offsets([tp]) == {tp: 100}
    for asked, offset, timestamp in ((0, 0, 1_000_000), (1_000_500, 50, 1_000_500), (1_000_501, 51, 1_000_510), (1_000_990, 99, 1_000_990)):
        found = c.offsets_for_times({tp: asked})[tp]
        assert (found.offset, found.timestamp) == (offset, timestamp)
    assert c.offsets_for_times({tp: 1_000_991}) == {tp: None}
    c.seek(tp, c.offsets_for_times({tp: 1_000_300})[tp].offset)
    assert [r.value for r in read(c, 2)] == [b"30", b"31"]


def test_an_offset_out_of_range_is_an_error_or_a_reset(topic, producer, consumer):
    producer.send(topic, b"only").get(timeout=30)
    tp = TopicPartition(topic, 0)
    strict = assigned(consumer(auto_offset_reset="none"), tp)
    strict.seek(tp, 1000)
    with pytest.raises(errors.OffsetOutOfRangeError):
        read(strict, 1)
    lenient = assigned(consumer(), tp)
    lenient.seek(tp, 1000)
    assert read(lenient, 1)[0].value == b"only"


def test_a_waiting_consumer_gets_a_record_at_once(topic, producer, consumer):
    c = assigned(consumer(fetch_max_wait_ms=20_000), TopicPartition(topic, 0))
    assert c.poll(timeout_ms=300) == {}
    producer.send(topic, b"now").get(timeout=30)
    began = time.monotonic()
    assert read(c, 1)[0].value == b"now"
    assert time.monotonic() - began < 10


def test_the_first_record_makes_the_topic_with_four_partitions(name, producer, consumer, admin):
    producer.send(name, b"first", partition=3).get(timeout=30)
    assert len(admin.describe_topics([name])[0]["partitions"]) == 4
    assert read(assigned(consumer(), TopicPartition(name, 3)), 1)[0].value == b"first"


def test_commits_outlive_the_consumer_and_carry_their_text(topic, producer, consumer):
    for i in range(10):
        producer.send(topic, b"%d" % i)
    producer.flush()
    tp = TopicPartition(topic, 0)
    c = consumer(topic, group_id=topic)
    read(c, 4)
    c.commit({tp: OffsetAndMetadata(4, "four, да", -1)})
    c.close()
    again = consumer(topic, group_id=topic)
    assert read(again, 1)[0].value == b"4"
    assert again.committed(tp) == 4
    assert again.committed(tp, metadata=True).metadata == "four, да"
    assert again.committed(TopicPartition(topic, 9)) is None


def test_metadata_of_a_commit_that_is_too_long_is_refused(topic, consumer):
    c = consumer(topic, group_id=topic)
    until(lambda: c.poll(timeout_ms=500) is not None and c.assignment())
    with pytest.raises(errors.OffsetMetadataTooLargeError):
        c.commit({TopicPartition(topic, 0): OffsetAndMetadata(0, "x" * 5000, -1)})


@pytest.mark.parametrize("assignor", [RangePartitionAssignor, RoundRobinPartitionAssignor, StickyPartitionAssignor, CooperativeStickyAssignor],
                         ids=lambda a: a.__name__)
def test_two_members_share_the_partitions(admin, polled, name, assignor):
    admin.create_topics({name: {"num_partitions": 6, "replication_factor": 1}})
    kept = []

    class Watch(ConsumerRebalanceListener):
        def on_partitions_revoked(self, revoked):
            kept.append(6 - len(revoked))

        def on_partitions_assigned(self, assigned):
            pass

    strategy = {"group_id": name, "partition_assignment_strategy": (assignor,)}
    a = polled(name, listener=Watch(), **strategy)
    shared(admin, name, a, parts=[6])
    del kept[:]
    b = polled(name, **strategy)
    described = shared(admin, name, a, b, parts=[3, 3])
    assert a.c.assignment() | b.c.assignment() == {TopicPartition(name, p) for p in range(6)}
    assert (described["protocol_type"], described["protocol_data"], len(described["members"])) == ("consumer", assignor.name, 2)
    # A cooperative member gives up what moves and keeps the rest; an eager one gives up all.
    assert (kept and min(kept)) == (3 if assignor is CooperativeStickyAssignor else 0)
    b.close()
    shared(admin, name, a, parts=[6])


def test_a_static_member_comes_back_without_a_rebalance(admin, polled, name):
    admin.create_topics({name: {"num_partitions": 4, "replication_factor": 1}})
    config = {"group_id": name, "session_timeout_ms": 20_000}
    a = polled(name, group_instance_id="a", **config)
    b = polled(name, group_instance_id="b", **config)
    shared(admin, name, a, b, parts=[2, 2])
    generation, had = a.c.group_metadata().generation_id, b.c.assignment()
    b.close()  # a static member does not leave
    again = polled(name, group_instance_id="b", **config)
    described = shared(admin, name, a, again, parts=[2, 2])
    assert again.c.assignment() == had
    assert a.c.group_metadata().generation_id == generation == again.c.group_metadata().generation_id
    assert sorted(m["group_instance_id"] for m in described["members"]) == ["a", "b"]
    again.close()
    removed = admin.remove_group_members(name, [MemberToRemove(group_instance_id="b")])
    assert set(removed.values()) == {errors.NoError}
    shared(admin, name, a, parts=[4])


def test_topics_are_created_described_and_deleted_and_every_answer_is_final(admin, producer, consumer, name):
    for round in range(5):
        answer = admin.create_topics({name: {"num_partitions": 3, "replication_factor": 1, "configs": {"retention.ms": "1234567"}}})
        made = answer["topics"][0]
        assert (made["name"], made["num_partitions"], made["replication_factor"]) == (name, 3, 1)
        assert made["configs"]["retention.ms"]["value"] == "1234567"
        described = admin.describe_topics([name])[0]
        assert described["error_code"] == 0 and [p["partition_index"] for p in sorted(described["partitions"], key=lambda p: p["partition_index"])] == [0, 1, 2]
        assert described["topic_id"] == made["topic_id"]
        assert [p["leader_id"] == p["replica_nodes"][0] for p in described["partitions"]] == [True] * 3
        assert producer.send(name, b"%d" % round, partition=2).get(timeout=30).offset == 0
        c = consumer()
        assert [r.value for r in read(assigned(c, TopicPartition(name, 2)), 1)] == [b"%d" % round]
        c.close()
        if round % 2:
            admin.delete_topics([uuid.UUID(str(made["topic_id"]))])
        else:
            admin.delete_topics([name])
        assert name not in admin.list_topics()


def test_partitions_are_added_and_used(admin, topic, producer, consumer):
    admin.create_partitions({topic: 5})
    assert len(admin.describe_topics([topic])[0]["partitions"]) == 5
    tp = TopicPartition(topic, 4)
    p = KafkaProducer(bootstrap_servers=admin.config["bootstrap_servers"])
    assert p.send(topic, b"new", partition=4).get(timeout=30).offset == 0
    p.close()
    assert read(assigned(consumer(), tp), 1)[0].value == b"new"
    with pytest.raises(errors.InvalidPartitionsError):
        admin.create_partitions({topic: 5})
    with pytest.raises(errors.UnknownTopicOrPartitionError):
        admin.create_partitions({topic + "-absent": 5})


@pytest.mark.parametrize("incremental", [True, False])
def test_topic_configs(admin, topic, incremental):
    def resource(configs=None):
        return [ConfigResource("TOPIC", topic, configs)]

    def seen(**kw):
        return admin.describe_configs(resource(), **kw)["topic"][topic]

    everything = seen(config_filter="all")
    assert everything["retention.ms"]["value"] == "604800000" and everything["retention.ms"]["config_source"] == "DEFAULT_CONFIG"
    assert len(everything) >= 28
    assert admin.alter_configs(resource({"retention.ms": "5000", "cleanup.policy": "compact,delete"}), incremental=incremental)["topic"][topic] == "OK"
    changed = seen(include_synonyms=True)
    assert {k: v["value"] for k, v in changed.items()} == {"retention.ms": "5000", "cleanup.policy": "compact,delete"}
    assert [s["source"] for s in changed["retention.ms"]["synonyms"]][0] == "DYNAMIC_TOPIC_CONFIG"
    refused = admin.alter_configs(resource({"retention.ms": "soon"}), incremental=incremental)["topic"][topic]
    assert "InvalidConfigurationError" in refused and "retention.ms" in refused
    assert seen()["retention.ms"]["value"] == "5000"
    assert admin.reset_configs(resource(["retention.ms"]), incremental=incremental)["topic"][topic] == "OK"
    assert set(seen()) == {"cleanup.policy"}


def test_lists_of_a_config_grow_and_shrink(admin, topic):
    def alter(op, v):
        return admin.alter_configs([ConfigResource("TOPIC", topic, {"cleanup.policy": (op, v)})])["topic"][topic]

    def policy():
        return set(admin.describe_configs([ConfigResource("TOPIC", topic)], config_filter="all")["topic"][topic]["cleanup.policy"]["value"].split(","))

    assert alter("APPEND", "compact") == "OK" and policy() == {"delete", "compact"}
    assert alter("SUBTRACT", "delete") == "OK" and policy() == {"compact"}


def test_broker_configs_are_listed_and_change_at_run_time(admin):
    node = str(admin.describe_cluster()["brokers"][0]["broker_id"])

    def seen():
        return admin.describe_configs([ConfigResource("BROKER", node)], config_filter="all")["broker"][node]

    listed = seen()
    assert listed["num.partitions"]["value"].isdigit() and len(listed) > 150
    assert listed["node.id"]["read_only"]
    before = listed["message.max.bytes"]["value"]
    assert admin.alter_configs([ConfigResource("BROKER", node, {"message.max.bytes": "1500000"})])["broker"][node] == "OK"
    assert (seen()["message.max.bytes"]["value"], seen()["message.max.bytes"]["config_source"]) == ("1500000", "DYNAMIC_BROKER_CONFIG")
    assert admin.reset_configs([ConfigResource("BROKER", node, ["message.max.bytes"])])["broker"][node] == "OK"
    assert seen()["message.max.bytes"]["value"] == before


def test_groups_are_listed_their_offsets_moved_and_they_are_deleted(admin, topic, producer, consumer):
    for i in range(10):
        producer.send(topic, b"%d" % i, timestamp_ms=1000 * (i + 1))
    producer.flush()
    tp = TopicPartition(topic, 0)
    c = consumer(topic, group_id=topic)
    read(c, 10)
    c.commit()
    assert {g["group_id"]: g["group_state"] for g in admin.list_groups()}[topic] == "Stable"
    assert topic not in {g["group_id"] for g in admin.list_groups(states_filter=["Empty"])}
    assert admin.delete_groups([topic]) == {topic: "NonEmptyGroupError"}
    assert admin.delete_group_offsets(topic, [tp]) == {tp: errors.GroupSubscribedToTopicError}
    c.close()
    assert {g["group_id"]: g["group_state"] for g in admin.list_groups()}[topic] == "Empty"
    assert admin.list_group_offsets([topic])[topic][tp].offset == 10
    for spec, offset in ((OffsetSpec.EARLIEST, 0), (OffsetSpec.LATEST, 10), (4, 4)):
        moved = admin.reset_group_offsets(topic, {tp: spec})[tp]
        assert (moved["error"], moved["offset"]) == (errors.NoError, offset)
        assert admin.list_group_offsets([topic])[topic][tp].offset == offset
    again = consumer(topic, group_id=topic)
    assert read(again, 1)[0].value == b"4"
    again.close()
    assert admin.delete_group_offsets(topic, [tp]) == {tp: errors.NoError}
    assert admin.list_group_offsets([topic])[topic].get(tp, OffsetAndMetadata(-1)).offset == -1
    assert admin.delete_groups([topic]) == {topic: "OK"}
    assert topic not in {g["group_id"] for g in admin.list_groups()}
    assert admin.delete_groups([topic]) == {topic: "GroupIdNotFoundError"}
    assert admin.describe_groups([topic])[topic]["group_state"] == "Dead"


def test_deleted_records_are_gone(admin, topic, producer, consumer):
    for i in range(10):
        producer.send(topic, b"%d" % i)
    producer.flush()
    tp = TopicPartition(topic, 0)
    assert admin.delete_records({tp: 6})[tp]["low_watermark"] == 6
    c = assigned(consumer(), tp)
    assert c.beginning_offsets([tp]) == {tp: 6}
    assert read(c, 1)[0].value == b"6"
    with pytest.raises(errors.OffsetOutOfRangeError):
        admin.delete_records({tp: 11})
    assert admin.delete_records({tp: -1})[tp]["low_watermark"] == 10
    assert c.beginning_offsets([tp]) == {tp: 10}


def test_the_cluster_describes_itself(admin, topic, producer):
    producer.send(topic, b"x" * 1000).get(timeout=30)
    cluster = admin.describe_cluster()
    assert cluster["cluster_id"] and cluster["controller_id"] in [b["broker_id"] for b in cluster["brokers"]]
    dirs = admin.describe_log_dirs([topic])[0]["log_dirs"][0]
    assert dirs["error_code"] == 0 and dirs["total_bytes"] > dirs["usable_bytes"] > 0
    assert [(p["partition_index"], p["partition_size"] > 1000, p["offset_lag"]) for p in dirs["topics"][0]["partitions"]] == [(0, True, 0)]
    assert admin.describe_topic_partitions([topic])["topics"][0]["partitions"][0]["isr_nodes"] == [cluster["brokers"][0]["broker_id"]]
    tp = TopicPartition(topic, 0)
    for spec, offset in ((OffsetSpec.EARLIEST, 0), (OffsetSpec.LATEST, 1), (OffsetSpec.MAX_TIMESTAMP, 0)):
        assert admin.list_partition_offsets({tp: spec})[tp].offset == offset


def test_large_records_are_taken_up_to_the_limit(bootstrap, admin, consumer, name):
    admin.create_topics({name: {"num_partitions": 1, "replication_factor": 1, "configs": {"max.message.bytes": "3000000"}},
                         name + "-default": {"num_partitions": 1, "replication_factor": 1}})
    with closing(KafkaProducer(bootstrap_servers=bootstrap, max_request_size=10_000_000, enable_idempotence=False)) as p:
        assert p.send(name, b"a" * 2_900_000).get(timeout=30).offset == 0
        with pytest.raises(errors.MessageSizeTooLargeError):
            p.send(name, b"b" * 3_100_000).get(timeout=30)
        with pytest.raises(errors.MessageSizeTooLargeError):
            p.send(name + "-default", b"c" * 1_100_000).get(timeout=30)
        assert p.send(name, b"after").get(timeout=30).offset == 1
    # Larger than what the consumer asks for: it gets the one batch all the same.
    c = assigned(consumer(max_partition_fetch_bytes=1000, fetch_max_bytes=1000), TopicPartition(name, 0))
    assert [len(r.value) for r in read(c, 2)] == [2_900_000, 5]


def test_an_unknown_topic_is_an_error(admin, topic, name):
    unknown = name + "-absent"
    assert admin.describe_topics([unknown])[0]["error_code"] == errors.UnknownTopicOrPartitionError.errno
    assert unknown not in admin.list_topics()
    with pytest.raises(errors.UnknownTopicOrPartitionError):
        admin.delete_topics([unknown])
    with pytest.raises(errors.UnknownTopicOrPartitionError):
        admin.delete_records({TopicPartition(topic, 7): 0})
    refused = admin.alter_configs([ConfigResource("TOPIC", unknown, {"retention.ms": "5"})], raise_on_unknown=False)
    assert "UnknownTopicOrPartitionError" in refused["topic"][unknown]


@pytest.mark.parametrize("wrong", ["with space", "a/b", "..", "x" * 250])
def test_a_wrong_name_of_a_topic_is_refused(bootstrap, admin, wrong):
    with pytest.raises(errors.InvalidTopicError):
        admin.create_topics({wrong: {"num_partitions": 1, "replication_factor": 1}})
    with closing(KafkaProducer(bootstrap_servers=bootstrap, max_block_ms=5000)) as p:
        with pytest.raises(Exception) as e:
            p.send(wrong, b"x").get(timeout=30)
        assert isinstance(e.value, (errors.InvalidTopicError, ValueError, AssertionError)), repr(e.value)


def test_wrong_topics_are_refused_with_the_reason(admin, topic, name):
    new = name + "-new"
    for spec, error in (
        ({topic: {"num_partitions": 1, "replication_factor": 1}}, errors.TopicAlreadyExistsError),
        ({new: {"num_partitions": 0, "replication_factor": 1}}, errors.InvalidPartitionsError),
        ({new: {"num_partitions": 1, "replication_factor": 7}}, errors.InvalidReplicationFactorError),
        ({new: {"num_partitions": 1, "replication_factor": 1, "configs": {"retention.ms": "x"}}}, errors.InvalidConfigurationError),
        ({new: {"num_partitions": 1, "replication_factor": 1, "configs": {"no.such.config": "1"}}}, errors.InvalidConfigurationError),
        ({new: {"assignments": {0: [999]}}}, errors.InvalidReplicationAssignmentError),
    ):
        with pytest.raises(error):
            admin.create_topics(spec)
    assert new not in admin.list_topics()
    admin.create_topics({new: {"num_partitions": 2, "replication_factor": 1}}, validate_only=True)
    assert new not in admin.list_topics()


def test_a_session_timeout_out_of_bounds_is_refused(topic, consumer):
    with pytest.raises(errors.InvalidSessionTimeoutError):
        read(consumer(topic, group_id=topic, session_timeout_ms=1000), 1)


def test_a_transactional_producer_is_refused_at_once(bootstrap, topic, ours):
    with closing(KafkaProducer(bootstrap_servers=bootstrap, transactional_id=topic)) as p:
        began = time.monotonic()
        with pytest.raises((errors.TransactionalIdAuthorizationFailedError, errors.InvalidRequestError, errors.KafkaError)) as e:
            p.init_transactions()
        assert not isinstance(e.value, errors.KafkaTimeoutError), repr(e.value)
        assert time.monotonic() - began < 5


def test_read_committed_reads_everything_where_nothing_is_transactional(topic, producer, consumer):
    producer.send(topic, b"x").get(timeout=30)
    assert read(assigned(consumer(isolation_level="read_committed"), TopicPartition(topic, 0)), 1)[0].value == b"x"
