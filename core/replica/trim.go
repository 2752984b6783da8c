package replica

import (
	"fmt"

	"github.com/millrun/millrun/core/record"
)

// Trim is DeleteRecords for the state machines of this broker, whatever the topic's cleanup policy: a machine that has
// appended its whole state again needs nothing of what is before. It returns where the log now starts.
func (p *Partition) Trim(to record.Offset) (record.Offset, error) {
	if _, err := p.checkLeader(record.NoLeaderEpoch); err != nil {
		return record.NoOffset, err
	}
	if hw := p.HighWatermark(); to < 0 || to > hw {
		return record.NoOffset, fmt.Errorf("%w: trimming before %d of %s, whose high watermark is %d", ErrOutOfRange, to, p.name, hw)
	}
	before := p.log.StartOffset()
	if err := p.log.SetStartOffset(to); err != nil {
		return record.NoOffset, p.storage(err)
	}
	return p.started(before)
}
