// Package config knows every setting of a topic, a broker, a group and a client metrics subscription of Apache Kafka 4.3:
// its name, type, default and the values that it may have, and the few settings that are our own. Values are checked
// here and nowhere else.
//
// [BrokerSettings] holds a broker's settings and where each came from; [TopicConfig] is what a topic's settings mean for
// the code that acts on them. Both are immutable: a change of settings makes new ones.
//
// The package is a leaf: it does no I/O and knows no other package of the project.
package config
