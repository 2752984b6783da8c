package group

import "github.com/millrun/millrun/core/machine"

// groupNotFoundVersion is the first version of OffsetCommit that says that there is no such group, where older ones say
// that the generation is wrong.
const groupNotFoundVersion = 9

func (op Commit) decide(s *Shard, t machine.Ticket) {
	reply := make(CommitReply, len(op.Offsets))
	if code := s.checkCommit(&op); code != None {
		for i := range reply {
			reply[i] = code
		}
		s.answer(t, reply)
		return
	}
	expires := int64(-1)
	if op.RetentionMs >= 0 {
		expires = s.now + min(op.RetentionMs, maxRetentionMs)
	}
	for i := range op.Offsets {
		o := &op.Offsets[i]
		if len(o.Metadata) > s.cfg.OffsetMetadataMaxBytes {
			reply[i] = OffsetMetadataTooLarge
			continue
		}
		s.key = appendOffsetKey(s.key[:0], op.Group, o.Topic, o.Partition)
		s.value = appendOffsetValue(s.value[:0], CommittedOffset{
			Offset: o.Offset, LeaderEpoch: o.LeaderEpoch, Metadata: o.Metadata,
			CommitMs: s.now, ExpireMs: expires, TopicID: o.TopicID,
		})
		s.fx.Put(s.key, s.value)
	}
	s.answer(t, reply)
}

// checkCommit judges who commits. A commit also tells that its member is there.
func (s *Shard) checkCommit(op *Commit) Code {
	if len(op.Group) > maxNameBytes {
		return InvalidGroupID
	}
	g := s.groups[op.Group]
	switch {
	case g == nil && op.Generation < 0:
		return None // a consumer that only stores offsets: replaying them makes the group
	case g == nil && op.Version >= groupNotFoundVersion:
		return GroupIDNotFound
	case g == nil:
		return IllegalGeneration
	case op.Generation < 0 && g.is(Empty):
		return None
	case op.Generation < 0 && op.Member == "" && op.Instance == nil:
		return UnknownMemberID
	}
	if code := g.validate(op.Member, op.Instance); code != None {
		return code
	}
	switch {
	case op.Generation != g.generation:
		return IllegalGeneration
	case g.is(CompletingRebalance):
		return RebalanceInProgress
	}
	s.extend(g.members[op.Member])
	return None
}
