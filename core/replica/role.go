package replica

import (
	"fmt"

	"github.com/millrun/millrun/core/meta"
	"github.com/millrun/millrun/core/record"
)

// role is what the metadata says about this replica. It is immutable; a change makes another.
type role struct {
	leads    bool
	epoch    record.LeaderEpoch
	replicas int
	inSync   int
}

// roleOf is the role of node in a partition of the image.
func roleOf(p *meta.Partition, node meta.NodeID) role {
	return role{leads: p.Leader == node, epoch: record.LeaderEpoch(p.LeaderEpoch), replicas: len(p.Replicas), inSync: len(p.ISR)}
}

// setRole takes a change of the metadata into account: whoever waits looks again.
func (p *Partition) setRole(r role) {
	p.mu.Lock()
	if r.leads {
		p.beginEpoch(r.epoch)
	}
	p.role.Store(&r)
	p.mu.Unlock()
	p.watchers.wakeAll()
}

// leading returns the role if this broker leads the partition.
func (p *Partition) leading() (*role, error) {
	r := p.role.Load()
	if !r.leads {
		return nil, fmt.Errorf("%w: %s", ErrNotLeader, p.name)
	}
	return r, nil
}

// checkEpoch holds the leader epoch that somebody believes in, NoLeaderEpoch if they do not say, against the partition's.
func (r *role) checkEpoch(believed record.LeaderEpoch) error {
	switch {
	case believed == record.NoLeaderEpoch || believed == r.epoch:
		return nil
	case believed < r.epoch:
		return fmt.Errorf("%w: %d, now %d", ErrFencedEpoch, believed, r.epoch)
	}
	return fmt.Errorf("%w: %d, here %d", ErrUnknownEpoch, believed, r.epoch)
}

// LeaderEpoch is the partition's leader epoch as far as this broker knows.
func (p *Partition) LeaderEpoch() record.LeaderEpoch { return p.role.Load().epoch }

// IsLeader tells whether this broker leads the partition.
func (p *Partition) IsLeader() bool { return p.role.Load().leads }

// CheckLeader answers what a request for the partition's leader must hear first: ErrStorage, ErrNotLeader, or an error
// for the leader epoch that the asker believes in, NoLeaderEpoch if it does not say.
func (p *Partition) CheckLeader(believed record.LeaderEpoch) error {
	_, err := p.checkLeader(believed)
	return err
}

func (p *Partition) checkLeader(believed record.LeaderEpoch) (*role, error) {
	if err := p.usable(); err != nil {
		return nil, err
	}
	r, err := p.leading()
	if err != nil {
		return nil, err
	}
	return r, r.checkEpoch(believed)
}
