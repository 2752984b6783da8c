package api

import (
	"context"
	"crypto/rand"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/config"
	"github.com/millrun/millrun/core/meta"
)

// internalTopics are the topics that only brokers write to, whoever creates them.
var internalTopics = []string{"__consumer_offsets", "__transaction_state", "__share_group_state"}

// metadataTopic is the name that Kafka keeps for its metadata log.
const metadataTopic = "__cluster_metadata"

// createTopics creates topics, each by itself: one that cannot be does not hinder the others. The answer comes when this
// broker serves them.
//
// v4 lets partitions and replicas default; v5 answers them and the settings; v7 answers the id. Earlier versions may leave the
// numbers at -1 too, as on a Kafka of today.
func (h *Handler) createTopics(ctx context.Context, c *Call, req *kmsg.CreateTopicsRequest) *kmsg.CreateTopicsResponse {
	ctx, cancel := withTimeout(ctx, req.TimeoutMillis)
	defer cancel()
	resp := kmsg.NewPtrCreateTopicsResponse()
	run := &topicCreation{h: h, asked: firstOfEach(req.Topics)}
	run.ids = make([]meta.TopicID, len(run.asked))
	for i := range run.ids {
		run.ids[i] = randomTopicID()
	}
	var err error
	if req.ValidateOnly {
		_, _ = run.decide(h.cfg.Cluster.Image())
	} else if _, err = h.cfg.Cluster.Change(ctx, run.decide); err != nil {
		h.cfg.Logger.Warn("cannot create topics", "err", err)
	}
	settings := h.settings()
	for i := range run.asked {
		t := kmsg.NewCreateTopicsResponseTopic()
		t.Topic = run.asked[i].Topic
		t.NumPartitions, t.ReplicationFactor = -1, -1
		switch created := run.created[t.Topic]; {
		case run.errs[i] != nil:
			t.ErrorCode, t.ErrorMessage = codeOf(run.errs[i]), messageOf(run.errs[i])
		case err != nil:
			t.ErrorCode, t.ErrorMessage = codeOf(err), messageOf(err)
		default:
			t.TopicID = created.ID
			t.NumPartitions, t.ReplicationFactor = int32(len(created.Partitions)), int16(created.ReplicationFactor())
			if c.Version >= 5 {
				t.Configs = createdConfigs(settings.DescribeTopic(created.Configs))
			}
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

// topicCreation is one request to create topics: what was asked, and what the last decision said.
type topicCreation struct {
	h     *Handler
	asked []askedTopic
	ids   []meta.TopicID // one for each, whether it comes to be used or not

	errs    []error                // one for each
	created map[string]*meta.Topic // by name
}

// askedTopic is a topic of the request, and how often the request names it.
type askedTopic struct {
	*kmsg.CreateTopicsRequestTopic
	times int
}

// firstOfEach lists the topics in the order of the request, one that is named twice once.
func firstOfEach(topics []kmsg.CreateTopicsRequestTopic) []askedTopic {
	var asked []askedTopic
	at := make(map[string]int, len(topics))
	for i := range topics {
		if j, ok := at[topics[i].Topic]; ok {
			asked[j].times++
			continue
		}
		at[topics[i].Topic] = len(asked)
		asked = append(asked, askedTopic{&topics[i], 1})
	}
	return asked
}

// decide may run more than once; what the last run found stands.
func (r *topicCreation) decide(img *meta.Image) (meta.Command, error) {
	settings := r.h.settingsOf(img)
	r.errs = make([]error, len(r.asked))
	r.created = map[string]*meta.Topic{}
	var topics []meta.NewTopic
	var places []int // of topics in asked
	for i := range r.asked {
		t, err := r.newTopic(img, settings, i)
		if err != nil {
			r.errs[i] = err
			continue
		}
		topics, places = append(topics, t), append(places, i)
	}
	command, errs := meta.DecideCreateTopics(img, topics, meta.TopicDefaults{
		Partitions:        int32(settings.Int("num.partitions")),
		ReplicationFactor: int16(settings.Int("default.replication.factor")),
	})
	for i, err := range errs {
		r.errs[places[i]] = err
	}
	if create, ok := command.(*meta.CreateTopics); ok {
		for _, t := range create.Topics {
			r.created[t.Name] = t
		}
	}
	return command, nil
}

// newTopic makes the i-th topic ready to be decided on. Errors come in Kafka's order: the name, whether it is taken, the
// settings; then what the decision finds.
func (r *topicCreation) newTopic(img *meta.Image, settings *config.BrokerSettings, i int) (meta.NewTopic, error) {
	asked := r.asked[i]
	if asked.times > 1 {
		return meta.NewTopic{}, &refusal{codeInvalidRequest, "Duplicate topic name."}
	}
	if asked.Topic == metadataTopic {
		return meta.NewTopic{}, &refusal{codeInvalidRequest, "Creation of internal topic __cluster_metadata is prohibited."}
	}
	t := meta.NewTopic{Name: asked.Topic, ID: r.ids[i], Partitions: asked.NumPartitions, ReplicationFactor: asked.ReplicationFactor,
		Internal: slices.Contains(internalTopics, asked.Topic)}
	for _, a := range asked.ReplicaAssignment {
		t.Assignments = append(t.Assignments, meta.Assignment{Partition: a.Partition, Replicas: nodeIDs(a.Replicas)})
	}
	if _, taken := img.Topic(asked.Topic); taken || meta.CheckTopicName(asked.Topic) != nil {
		return t, nil // refused by the decision, in the same words
	}
	configs, err := newTopicConfigs(settings, asked.Configs)
	t.Configs = configs
	return t, err
}

// newTopicConfigs are the settings of a new topic. Of one that is given twice the last counts.
func newTopicConfigs(settings *config.BrokerSettings, given []kmsg.CreateTopicsRequestTopicConfig) (map[string]string, error) {
	if len(given) == 0 {
		return nil, nil
	}
	configs := make(map[string]string, len(given))
	for _, g := range given {
		if g.Value == nil {
			return nil, &refusal{codeInvalidConfig, "Null value not supported for topic configs: " + g.Name}
		}
		configs[g.Name] = *g.Value
	}
	return configs, config.CheckTopicSet(settings, configs)
}

func createdConfigs(entries []config.Entry) []kmsg.CreateTopicsResponseTopicConfig {
	configs := make([]kmsg.CreateTopicsResponseTopicConfig, len(entries))
	for i, e := range entries {
		configs[i] = kmsg.NewCreateTopicsResponseTopicConfig()
		configs[i].Name, configs[i].Source = e.Name, int8(e.Source)
		configs[i].ReadOnly, configs[i].IsSensitive = e.ReadOnly, e.Sensitive
		configs[i].Value = shown(e.Value, e.Nil)
	}
	return configs
}

func randomTopicID() meta.TopicID {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return meta.NewTopicID(b)
}

func nodeIDs(ids []int32) []meta.NodeID {
	nodes := make([]meta.NodeID, len(ids))
	for i, id := range ids {
		nodes[i] = meta.NodeID(id)
	}
	return nodes
}

// maxChangeWait bounds how long a request may wait for a change of the metadata, whatever its sender says.
const maxChangeWait = 5 * time.Minute

// withTimeout bounds a change by the timeout that the request asks for. The change may happen after all: only the wait ends.
func withTimeout(ctx context.Context, ms int32) (context.Context, context.CancelFunc) {
	wait := time.Duration(ms) * time.Millisecond
	if wait <= 0 || wait > maxChangeWait {
		wait = maxChangeWait
	}
	return context.WithTimeout(ctx, wait)
}
