package config

// Group is every setting of a group, sorted by name, as Apache Kafka 4.3 has them. Do not change it.
var Group = []Def{
	{Name: "consumer.assignment.interval.ms", Type: Int, Default: "1000", rule: rule{kind: atLeast, min: 0}, Update: ClusterWide, Synonym: "group.consumer.assignment.interval.ms", Doc: "Time between two assignments of the group."},
	{Name: "consumer.heartbeat.interval.ms", Type: Int, Default: "5000", rule: rule{kind: atLeast, min: 1}, Update: ClusterWide, Synonym: "group.consumer.heartbeat.interval.ms", Doc: "Heartbeat interval given to the group's members."},
	{Name: "consumer.session.timeout.ms", Type: Int, Default: "45000", rule: rule{kind: atLeast, min: 1}, Update: ClusterWide, Synonym: "group.consumer.session.timeout.ms", Doc: "A member that is silent for so long is removed."},
	{Name: "share.assignment.interval.ms", Type: Int, Default: "1000", rule: rule{kind: atLeast, min: 0}, Update: ClusterWide, Synonym: "group.share.assignment.interval.ms", Doc: "Time between two assignments of the share group."},
	{Name: "share.auto.offset.reset", Type: String, Default: "latest", rule: rule{kind: offsetReset}, Update: ClusterWide, Doc: "Where a share group starts: earliest, latest, or by_duration:PnDTnHnMn.nS back."},
	{Name: "share.delivery.count.limit", Type: Int, Default: "5", rule: rule{kind: atLeast, min: 2}, Update: ClusterWide, Synonym: "group.share.delivery.count.limit", Doc: "How often a record is delivered at most."},
	{Name: "share.heartbeat.interval.ms", Type: Int, Default: "5000", rule: rule{kind: atLeast, min: 1}, Update: ClusterWide, Synonym: "group.share.heartbeat.interval.ms", Doc: "Heartbeat interval given to the share group's members."},
	{Name: "share.isolation.level", Type: String, Default: "read_uncommitted", rule: rule{kind: oneOf, of: []string{"read_committed", "read_uncommitted"}}, Update: ClusterWide, Doc: "Whether records of aborted transactions are delivered."},
	{Name: "share.partition.max.record.locks", Type: Int, Default: "2000", rule: rule{kind: atLeast, min: 100}, Update: ClusterWide, Synonym: "group.share.partition.max.record.locks", Doc: "Records of one partition that may be held locked."},
	{Name: "share.record.lock.duration.ms", Type: Int, Default: "30000", rule: rule{kind: atLeast, min: 1000}, Update: ClusterWide, Synonym: "group.share.record.lock.duration.ms", Doc: "How long a record stays locked for the member that acquired it."},
	{Name: "share.renew.acknowledge.enable", Type: Boolean, Default: "true", Update: ClusterWide, Doc: "Whether members may renew their locks."},
	{Name: "share.session.timeout.ms", Type: Int, Default: "45000", rule: rule{kind: atLeast, min: 1}, Update: ClusterWide, Synonym: "group.share.session.timeout.ms", Doc: "A member of the share group that is silent for so long is removed."},
	{Name: "streams.assignment.interval.ms", Type: Int, Default: "1000", rule: rule{kind: atLeast, min: 0}, Update: ClusterWide, Synonym: "group.streams.assignment.interval.ms", Doc: "Time between two assignments of the streams group."},
	{Name: "streams.heartbeat.interval.ms", Type: Int, Default: "5000", rule: rule{kind: atLeast, min: 1}, Update: ClusterWide, Synonym: "group.streams.heartbeat.interval.ms", Doc: "Heartbeat interval given to the streams group's members."},
	{Name: "streams.initial.rebalance.delay.ms", Type: Int, Default: "3000", rule: rule{kind: atLeast, min: 0}, Update: ClusterWide, Synonym: "group.streams.initial.rebalance.delay.ms", Doc: "How long the new streams group waits for more members."},
	{Name: "streams.num.standby.replicas", Type: Int, Default: "0", rule: rule{kind: atLeast, min: 0}, Update: ClusterWide, Synonym: "group.streams.num.standby.replicas", Doc: "Standby replicas of each task."},
	{Name: "streams.session.timeout.ms", Type: Int, Default: "45000", rule: rule{kind: atLeast, min: 1}, Update: ClusterWide, Synonym: "group.streams.session.timeout.ms", Doc: "A member of the streams group that is silent for so long is removed."},
}
