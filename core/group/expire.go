package group

// expireAll deletes the offsets that nobody needs any more, and the empty groups that have none left.
func (s *Shard) expireAll() {
	s.timers.set(&s.expiry, s.now+s.cfg.RetentionCheckMs)
	for _, g := range s.sorted() {
		if left := s.expireOffsets(g); left > 0 || !g.is(Empty) || len(g.pending) > 0 {
			continue
		}
		if g.stored != nil {
			s.putGroupTombstone(g)
		}
	}
}

// expireOffsets asks for the deletion of a group's expired offsets and returns how many it keeps.
//
// The time runs from a commit; for a group that had members, from when the last one left. While it has members, only
// topics that none of them reads expire, and nothing while it rebalances or if it is not known what they read.
func (s *Shard) expireOffsets(g *Group) (left int) {
	fromEmpty := g.protocolType != "" && g.is(Empty)
	simple := g.protocolType == ""
	if !fromEmpty && !simple && !(g.is(Stable) && g.subscribed != nil) {
		return g.offsets.n
	}
	for _, o := range g.offsets.sorted() {
		from := o.CommitMs
		if fromEmpty && g.since >= 0 {
			from = g.since
		}
		expired := s.now-from >= s.cfg.OffsetsRetentionMs
		if o.ExpireMs >= 0 {
			expired = s.now >= o.ExpireMs
		}
		if !expired || g.subscribes(o.topic) {
			left++
			continue
		}
		s.putOffsetTombstone(g, o.topic, o.partition)
	}
	return left
}
