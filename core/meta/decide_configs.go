package meta

import "maps"

// DecideAlterTopicConfigs gives a topic all of these settings in place of those it has: what to set, delete, append or
// subtract is the caller's to work out on Topic.Configs of the same image. The settings themselves are not checked. The
// error is ErrUnknownTopic; the command is nil if the topic has exactly these.
func DecideAlterTopicConfigs(img *Image, topic string, configs map[string]string) (Command, error) {
	t, ok := img.Topic(topic)
	if !ok {
		return nil, refuse(ErrUnknownTopic, "The topic '%s' does not exist.", topic)
	}
	if maps.Equal(t.Configs, configs) {
		return nil, nil
	}
	return &AlterTopicConfigs{[]TopicConfigs{{ID: t.ID, Configs: maps.Clone(configs)}}}, nil
}

// DecideAlterBrokerConfigs gives a broker, or with ClusterDefault all of them, all of these settings in place of those
// stored there. The settings themselves are not checked. The error is ErrUnknownBroker; the command is nil if these are
// exactly those stored.
func DecideAlterBrokerConfigs(img *Image, node NodeID, configs map[string]string) (Command, error) {
	if _, ok := img.Broker(node); !ok && node != ClusterDefault {
		return nil, refuse(ErrUnknownBroker, "No broker with id %d is registered.", node)
	}
	if maps.Equal(img.BrokerConfigs(node), configs) {
		return nil, nil
	}
	return &AlterBrokerConfigs{Node: node, Configs: maps.Clone(configs)}, nil
}
