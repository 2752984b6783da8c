package group

// rebalanceOrComplete starts a rebalance, or lets the one that is under way go on.
func (s *Shard) rebalanceOrComplete(g *Group) {
	if g.is(PreparingRebalance) {
		s.completeIfJoined(g)
		return
	}
	s.prepareRebalance(g)
}

// prepareRebalance asks all members to join again. An empty group waits for more members, and longer while they come.
func (s *Shard) prepareRebalance(g *Group) {
	if g.is(CompletingRebalance) {
		for _, m := range g.order {
			m.assignment = nil
			s.answerSync(m, syncError(RebalanceInProgress))
		}
	}
	g.clearOwing()
	g.syncTimer.cancel()
	initial := g.is(Empty)
	g.enter(PreparingRebalance, s.now)
	switch {
	case initial:
		g.grown = false
		g.initialDelayMs = int64(s.cfg.InitialRebalanceDelayMs)
		g.initialLeftMs = max(g.rebalanceMs()-g.initialDelayMs, 0)
		s.timers.set(&g.joinTimer, s.now+g.initialDelayMs)
	case g.allJoined():
		s.completeJoin(g)
	default:
		s.timers.set(&g.joinTimer, s.now+g.rebalanceMs())
	}
}

// completeIfJoined ends the join phase if everybody is there. The initial rebalance lasts as long as its timer.
func (s *Shard) completeIfJoined(g *Group) {
	if g.is(PreparingRebalance) && !g.fromEmpty && g.allJoined() {
		s.completeJoin(g)
	}
}

// joinDue ends the join phase because its time is up, but for an initial rebalance that still grows.
func (s *Shard) joinDue(g *Group) {
	if !g.is(PreparingRebalance) {
		return
	}
	if g.fromEmpty && g.grown && g.initialLeftMs > 0 {
		g.grown = false
		delay := min(int64(s.cfg.InitialRebalanceDelayMs), g.initialLeftMs)
		g.initialLeftMs = max(g.initialLeftMs-g.initialDelayMs, 0)
		g.initialDelayMs = delay
		s.timers.set(&g.joinTimer, s.now+delay)
		return
	}
	s.completeJoin(g)
	s.dropIfUnused(g)
}

// completeJoin begins the next generation with the members that have joined. Dynamic members that have not are out;
// static ones stay until their session ends.
func (s *Shard) completeJoin(g *Group) {
	g.joinTimer.cancel()
	for _, m := range append([]*Member(nil), g.order...) {
		if m.joining == 0 && m.instance == nil {
			g.remove(m)
		}
	}
	if len(g.members) > 0 && !g.electJoined() {
		s.timers.set(&g.joinTimer, s.now+g.rebalanceMs())
		return
	}
	g.generation++
	g.clearOwing()
	if len(g.members) == 0 {
		g.protocol = ""
		g.learnTopics()
		g.enter(Empty, s.now)
		s.putGroup(g, nil)
		return
	}
	g.protocol = g.choose()
	g.learnTopics()
	g.enter(CompletingRebalance, s.now)
	for _, m := range g.order {
		s.answerJoin(g, m, g.joined(m))
		s.extend(m)
		m.isNew = false
		g.setOwing(m, true)
	}
	s.timers.set(&g.syncTimer, s.now+g.rebalanceMs())
}

// syncDue removes the members that never synced, and asks the others again.
func (s *Shard) syncDue(g *Group) {
	if g.owing == 0 || !g.is(CompletingRebalance, Stable) {
		return
	}
	for _, m := range append([]*Member(nil), g.order...) {
		if m.owesSync {
			g.remove(m)
		}
	}
	s.prepareRebalance(g)
}

// sessionDue removes a member that has not been heard of.
func (s *Shard) sessionDue(g *Group, m *Member) {
	if g.members[m.id] != m || m.alive() {
		return
	}
	s.expel(g, m, UnknownMemberID)
	s.afterRemoval(g)
}

// afterRemoval lets the group go on without the members that were removed.
func (s *Shard) afterRemoval(g *Group) {
	switch {
	case g.is(Stable, CompletingRebalance):
		s.prepareRebalance(g)
	case g.is(PreparingRebalance):
		s.completeIfJoined(g)
	}
	s.dropIfUnused(g)
}

// putGroup asks for the group's record to be written, unless it would not fit into the log: then it returns false.
func (s *Shard) putGroup(g *Group, assignment func(m *Member) []byte) bool {
	s.key = appendGroupKey(s.key[:0], g.id)
	s.value = g.value(s.value[:0], assignment)
	if len(s.key)+len(s.value) > s.cfg.MaxRecordBytes {
		s.value = nil
		return false
	}
	s.fx.Put(s.key, s.value)
	g.writing = true
	if cap(s.value) > scratchBytes {
		s.value = nil
	}
	return true
}
