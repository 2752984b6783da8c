"""aiokafka: an asyncio client in Python and C, which speaks rather old versions of the protocol."""
import asyncio
import time
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, OffsetAndMetadata, TopicPartition, errors
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

from ledger import CODECS, Ledger, headers, shares, value

pytestmark = pytest.mark.asyncio
CREATE_TIME, LOG_APPEND_TIME = 0, 1


@pytest_asyncio.fixture
async def stack():
    async with AsyncExitStack() as s:
        yield s


@pytest_asyncio.fixture
async def admin(bootstrap):
    a = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await a.start()
    yield a
    await a.close()


@pytest.fixture
def producer(bootstrap, stack):
    """A function that starts producers, which stop at the end."""
    async def start(**config):
        return await stack.enter_async_context(AIOKafkaProducer(bootstrap_servers=bootstrap, **config))
    return start


@pytest.fixture
def consumer(bootstrap, stack):
    """A function that starts consumers, which stop at the end."""
    async def start(*topics, **config):
        config = {"auto_offset_reset": "earliest", "enable_auto_commit": False, "heartbeat_interval_ms": 250, "retry_backoff_ms": 20, **config}
        return await stack.enter_async_context(AIOKafkaConsumer(*topics, bootstrap_servers=bootstrap, **config))
    return start


async def create(admin, name, partitions=1, **configs):
    response = await admin.create_topics([NewTopic(name, partitions, 1, topic_configs={k.replace("_", "."): v for k, v in configs.items()})])
    for error in response.topic_errors:
        assert error[1] == 0, error
    return name


@pytest_asyncio.fixture
async def topic(admin, name):
    return await create(admin, name)


async def reader(consumer, topic, partition=0, **config):
    c = await consumer(**config)
    c.assign([TopicPartition(topic, partition)])
    return c


async def read(c, n, seconds=30):
    """The next n records, in the order of arrival."""
    got = []
    async with asyncio.timeout(seconds):
        while len(got) < n:
            for records in (await c.getmany(timeout_ms=500, max_records=n - len(got))).values():
                got += records
    return got


async def until(what, seconds=30):
    async with asyncio.timeout(seconds):
        while not what():
            await asyncio.sleep(0.01)


class Committing(ConsumerRebalanceListener):
    """Commits what was taken before partitions go, so that whoever gets them goes on exactly there."""

    def __init__(self, c):
        self.c = c

    async def on_partitions_revoked(self, revoked):
        if revoked:
            await self.c.commit()

    async def on_partitions_assigned(self, assigned):
        pass


async def take(who, c, ledger, hold, both):
    """One member; holds back at `hold` records until the second member has partitions too."""
    while not ledger.done:
        if ledger.count >= hold and not both.is_set():
            await asyncio.sleep(0.02)
            continue
        for tp, records in (await c.getmany(timeout_ms=100, max_records=1000)).items():
            for r in records:
                ledger.take(who, tp.partition, r.offset, r.value)


async def test_100000_records_through_a_group_that_rebalances_in_the_middle(admin, producer, consumer, name):
    total = 100_000
    await create(admin, name, 8)
    for codec, share in zip(CODECS, shares(total, len(CODECS))):
        p = await producer(compression_type=codec, linger_ms=5, max_batch_size=65536)
        futures = [await p.send(name, value(i), key=b"%d" % i) for i in share]
        assert all(m.offset >= 0 for m in await asyncio.gather(*futures))
    ledger, both = Ledger(total), asyncio.Event()
    hold = total * 2 // 5

    async def member():
        c = await consumer(group_id=name)
        c.subscribe([name], listener=Committing(c))
        return c

    first = await member()
    tasks = [asyncio.create_task(take("first", first, ledger, hold, both))]
    async with asyncio.timeout(100):
        while ledger.count < hold and not ledger.wrong:
            await asyncio.sleep(0.01)
        second = await member()
        await until(lambda: len(second.assignment()) == 4 and len(first.assignment()) == 4)
        both.set()
        tasks.append(asyncio.create_task(take("second", second, ledger, total, both)))
        await asyncio.gather(*tasks)
    ledger.check()
    assert set(ledger.by) == {"first", "second"}
    await first.commit()
    await second.commit()
    committed = await admin.list_consumer_group_offsets(name)
    ends = await first.end_offsets([TopicPartition(name, p) for p in range(8)])
    assert {tp: o.offset for tp, o in committed.items()} == ends
    # The second leaves and gives its half back.
    await second.stop()
    await until(lambda: len(first.assignment()) == 8)


@pytest.mark.parametrize("codec", CODECS, ids=str)
async def test_what_is_sent_arrives_as_it_was(topic, producer, consumer, codec):
    now = int(time.time() * 1000)
    sent = [
        (b"key", b"value", headers(1), now),
        (None, b"no key", [], now - 1),
        (b"null value", None, [("h", b"\x00\xff")], now + 5),
        (b"", b"", [("", b"")], 0),
        ("ключ".encode(), "値".encode(), [("заголовок", "頭".encode())], 1),
        (b"null header", b"", [("null", None)], now),
        (b"large", b"0123456789" * 20_000, [("many", b"%d" % i) for i in range(100)], now),
    ]
    p = await producer(compression_type=codec, linger_ms=20)
    futures = [await p.send(topic, v, k, headers=h, partition=0, timestamp_ms=t) for k, v, h, t in sent]
    assert [m.offset for m in await asyncio.gather(*futures)] == list(range(len(sent)))
    got = await read(await reader(consumer, topic), len(sent))
    assert [(r.key, r.value, list(r.headers), r.timestamp) for r in got] == sent
    assert {r.timestamp_type for r in got} == {CREATE_TIME}
    assert [r.offset for r in got] == list(range(len(sent)))


async def test_log_append_time_replaces_the_clients_clock(admin, producer, consumer, name):
    await create(admin, name, message_timestamp_type="LogAppendTime")
    p = await producer(compression_type="snappy")
    before = int(time.time() * 1000)
    answered = [(await p.send_and_wait(name, b"x", timestamp_ms=7)) for _ in range(3)]
    after = int(time.time() * 1000)
    got = await read(await reader(consumer, name), 3)
    assert [r.timestamp for r in got] == [m.timestamp for m in answered]
    assert all(r.timestamp_type == LOG_APPEND_TIME and before <= r.timestamp <= after for r in got)


@pytest.mark.parametrize("acks", [0, 1, "all"])
async def test_acks(topic, producer, consumer, acks):
    p = await producer(acks=acks)
    answered = [await p.send_and_wait(topic, b"%d" % i) for i in range(20)]
    assert acks == 0 or [m.offset for m in answered] == list(range(20))
    assert [r.value for r in await read(await reader(consumer, topic), 20)] == [b"%d" % i for i in range(20)]


async def test_an_idempotent_producer_keeps_the_order(topic, producer, consumer):
    p = await producer(enable_idempotence=True, max_batch_size=200)
    futures = [await p.send(topic, b"%04d" % i) for i in range(2000)]
    assert [m.offset for m in await asyncio.gather(*futures)] == list(range(2000))
    assert [r.value for r in await read(await reader(consumer, topic), 2000)] == [b"%04d" % i for i in range(2000)]


async def test_seeks_by_offset_and_by_time(topic, producer, consumer):
    p = await producer(linger_ms=10)
    await asyncio.gather(*[await p.send(topic, b"%d" % i, timestamp_ms=1_000_000 + 10 * i) for i in range(100)])
    tp = TopicPartition(topic, 0)
    c = await reader(consumer, topic)
    c.seek(tp, 42)
    assert (await read(c, 1))[0].value == b"42"
    await c.seek_to_beginning(tp)
    assert (await read(c, 1))[0].value == b"0"
    await c.seek_to_end(tp)
    assert await c.position(tp) == 100
    assert await c.beginning_offsets([tp]) == {tp: 0} and await c.end_offsets([tp]) == {tp: 100}
    for asked, offset, timestamp in ((0, 0, 1_000_000), (1_000_500, 50, 1_000_500), (1_000_501, 51, 1_000_510), (1_000_990, 99, 1_000_990)):
        found = (await c.offsets_for_times({tp: asked}))[tp]
        assert (found.offset, found.timestamp) == (offset, timestamp)
    assert await c.offsets_for_times({tp: 1_000_991}) == {tp: None}


async def test_an_offset_out_of_range_is_an_error_or_a_reset(topic, producer, consumer):
    await (await producer()).send_and_wait(topic, b"only")
    tp = TopicPartition(topic, 0)
    strict = await reader(consumer, topic, auto_offset_reset="none")
    strict.seek(tp, 1000)
    with pytest.raises(errors.OffsetOutOfRangeError):
        await read(strict, 1)
    lenient = await reader(consumer, topic)
    lenient.seek(tp, 1000)
    assert (await read(lenient, 1))[0].value == b"only"


async def test_a_waiting_consumer_gets_a_record_at_once(topic, producer, consumer):
    c = await reader(consumer, topic, fetch_max_wait_ms=20_000)
    p = await producer()
    assert await c.getmany(timeout_ms=300) == {}
    await p.send_and_wait(topic, b"now")
    began = time.monotonic()
    assert (await read(c, 1))[0].value == b"now"
    assert time.monotonic() - began < 10


async def test_the_first_record_makes_the_topic_with_four_partitions(name, producer, consumer, admin):
    p = await producer()
    assert await p.partitions_for(name) == {0, 1, 2, 3}
    await p.send_and_wait(name, b"first", partition=3)
    assert (await read(await reader(consumer, name, 3), 1))[0].value == b"first"


async def test_commits_outlive_the_consumer_and_carry_their_text(topic, producer, consumer):
    p = await producer()
    for i in range(10):
        await p.send(topic, b"%d" % i)
    await p.flush()
    tp = TopicPartition(topic, 0)
    c = await consumer(topic, group_id=topic)
    await read(c, 4)
    await c.commit({tp: (4, "four, да")})
    await c.stop()
    again = await consumer(topic, group_id=topic)
    assert (await read(again, 1))[0].value == b"4"
    assert await again.committed(tp) == 4
    assert await again.committed(TopicPartition(topic, 9)) is None
    with pytest.raises(errors.OffsetMetadataTooLargeError):
        await again.commit({tp: (4, "x" * 5000)})


@pytest.mark.parametrize("assignor", [RangePartitionAssignor, RoundRobinPartitionAssignor, StickyPartitionAssignor], ids=lambda a: a.__name__)
async def test_two_members_share_the_partitions(admin, consumer, name, assignor):
    await create(admin, name, 6)
    config = {"group_id": name, "partition_assignment_strategy": (assignor,)}
    a = await consumer(name, **config)
    assert len(a.assignment()) == 6
    b = await consumer(name, **config)
    await until(lambda: len(a.assignment()) == len(b.assignment()) == 3)
    assert a.assignment() | b.assignment() == {TopicPartition(name, p) for p in range(6)}
    (described,) = await admin.describe_consumer_groups([name])
    (group,) = described.groups
    assert group[0:5][1:5] == (name, "Stable", "consumer", assignor.name) and len(group[5]) == 2
    await b.stop()
    await until(lambda: len(a.assignment()) == 6)


async def test_a_static_member_comes_back_with_what_it_had(admin, consumer, name):
    await create(admin, name, 4)
    config = {"group_id": name, "session_timeout_ms": 20_000}
    a = await consumer(name, group_instance_id="a", **config)
    b = await consumer(name, group_instance_id="b", **config)
    await until(lambda: len(a.assignment()) == len(b.assignment()) == 2)
    had, others = b.assignment(), a.assignment()
    await b.stop()  # a static member does not leave
    b = await consumer(name, group_instance_id="b", **config)
    await until(lambda: len(b.assignment()) == 2)
    assert b.assignment() == had and a.assignment() == others


async def test_topics_are_created_described_and_deleted_and_every_answer_is_final(admin, producer, consumer, name):
    for round in range(5):
        await create(admin, name, 3, retention_ms="1234567")
        (seen,) = await admin.describe_topics([name])
        assert sorted(p["partition"] for p in seen["partitions"]) == [0, 1, 2]
        p = await producer()
        assert (await p.send_and_wait(name, b"%d" % round, partition=2)).offset == 0
        await p.stop()
        c = await reader(consumer, name, 2)
        assert [r.value for r in await read(c, 1)] == [b"%d" % round]
        await c.stop()
        assert (await admin.delete_topics([name])).topic_error_codes == [(name, 0)]
        assert name not in await admin.list_topics()


async def test_partitions_are_added_and_used(admin, topic, producer, consumer):
    await admin.create_partitions({topic: NewPartitions(5)})
    assert (await (await producer()).send_and_wait(topic, b"new", partition=4)).offset == 0
    assert (await read(await reader(consumer, topic, 4), 1))[0].value == b"new"
    with pytest.raises(errors.InvalidPartitionsError):
        await admin.create_partitions({topic: NewPartitions(5)})


async def test_configs_are_replaced_as_a_whole(admin, topic):
    def resource(**configs):
        return [ConfigResource(ConfigResourceType.TOPIC, topic, configs={k.replace("_", "."): v for k, v in configs.items()} or None)]

    async def seen():
        (response,) = await admin.describe_configs(resource(), include_synonyms=True)
        return {entry[0]: entry[1] for entry in response.resources[0][4]}

    async def set(**configs):
        (response,) = await admin.alter_configs(resource(**configs))
        return response.resources[0][0]

    assert (await seen())["retention.ms"] == "604800000" and len(await seen()) >= 28
    assert await set(retention_ms="5000", segment_ms="777777") == 0
    assert ((await seen())["retention.ms"], (await seen())["segment.ms"]) == ("5000", "777777")
    assert await set(segment_ms="888888") == 0
    assert ((await seen())["retention.ms"], (await seen())["segment.ms"]) == ("604800000", "888888")
    assert await set(segment_ms="soon") == errors.InvalidConfigurationError.errno


async def test_groups_are_listed_and_their_offsets_read(admin, topic, consumer):
    c = await consumer(topic, group_id=topic)
    await c.commit({TopicPartition(topic, 0): OffsetAndMetadata(7, "text")})
    assert (topic, "consumer") in [g[:2] for g in await admin.list_consumer_groups()]
    assert await admin.list_consumer_group_offsets(topic) == {TopicPartition(topic, 0): OffsetAndMetadata(7, "text")}
    assert await admin.list_consumer_group_offsets(topic + "-absent", partitions=[TopicPartition(topic, 0)]) == {
        TopicPartition(topic, 0): OffsetAndMetadata(-1, "")}


async def test_deleted_records_are_gone(admin, topic, producer, consumer):
    p = await producer()
    for i in range(10):
        await p.send(topic, b"%d" % i)
    await p.flush()
    tp = TopicPartition(topic, 0)
    assert await admin.delete_records({tp: RecordsToDelete(6)}) == {tp: 6}
    c = await reader(consumer, topic)
    assert [r.value for r in await read(c, 4)] == [b"6", b"7", b"8", b"9"]
    assert await c.beginning_offsets([tp]) == {tp: 6}
    with pytest.raises(errors.OffsetOutOfRangeError):
        await admin.delete_records({tp: RecordsToDelete(11)})


async def test_the_cluster_describes_itself(admin):
    cluster = await admin.describe_cluster()
    assert cluster["cluster_id"] and cluster["controller_id"] in [b["node_id"] for b in cluster["brokers"]]


async def test_large_records_are_taken_up_to_the_limit(admin, producer, consumer, name):
    await create(admin, name, max_message_bytes="3000000")
    p = await producer(max_request_size=10_000_000)
    assert (await p.send_and_wait(name, b"a" * 2_900_000)).offset == 0
    with pytest.raises(errors.MessageSizeTooLargeError):
        await p.send_and_wait(name, b"b" * 3_100_000)
    assert (await p.send_and_wait(name, b"after")).offset == 1
    # Larger than what the consumer asks for: it gets the one batch all the same.
    c = await reader(consumer, name, max_partition_fetch_bytes=1000, fetch_max_bytes=1000)
    assert [len(r.value) for r in await read(c, 2)] == [2_900_000, 5]


async def test_what_is_wrong_is_refused_with_the_reason(admin, topic, name):
    new = name + "-new"
    for spec, error in (
        (NewTopic(topic, 1, 1), errors.TopicAlreadyExistsError),
        (NewTopic("with space", 1, 1), errors.InvalidTopicError),
        (NewTopic(new, 0, 1), errors.InvalidPartitionsError),
        (NewTopic(new, 1, 7), errors.InvalidReplicationFactorError),
        (NewTopic(new, 1, 1, topic_configs={"retention.ms": "x"}), errors.InvalidConfigurationError),
    ):
        response = await admin.create_topics([spec])
        assert response.topic_errors[0][1] == error.errno, response
    assert (await admin.delete_topics([new])).topic_error_codes == [(new, errors.UnknownTopicOrPartitionError.errno)]
    assert new not in await admin.list_topics()


async def test_a_session_timeout_out_of_bounds_is_refused(topic, bootstrap):
    c = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, group_id=topic, session_timeout_ms=1000, heartbeat_interval_ms=300)
    with pytest.raises(errors.InvalidSessionTimeoutError):
        await c.start()
    await c.stop()


async def test_a_transactional_producer_is_refused_at_once(bootstrap, name, ours):
    p = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=name)
    began = time.monotonic()
    with pytest.raises(errors.KafkaError) as e:
        await p.start()
        async with p.transaction():
            pass
    assert not isinstance(e.value, errors.KafkaTimeoutError) and time.monotonic() - began < 5, repr(e.value)
    await p.stop()


@pytest.mark.parametrize("isolation", ["read_committed", "read_uncommitted"])
async def test_both_isolation_levels_read_what_is_not_transactional(topic, producer, consumer, isolation):
    await (await producer()).send_and_wait(topic, b"x")
    c = await reader(consumer, topic, isolation_level=isolation)
    assert (await read(c, 1))[0].value == b"x"
    assert c.last_stable_offset(TopicPartition(topic, 0)) == 1
