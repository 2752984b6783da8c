package machine

import (
	"iter"
	"math"
)

// Never is the time at which a shard that waits for nothing wants to be woken.
const Never int64 = math.MaxInt64

// Ticket stands for one request that waits for its answer. A shard may answer it at once or keep it and answer when
// another operation or a deadline decides it. Tickets are never used twice, and NoTicket is none.
type Ticket uint64

// NoTicket is held by nobody: answering it does nothing.
const NoTicket Ticket = 0

// Record is one record of a shard's log. A nil Value is a tombstone: the key is gone.
type Record struct{ Key, Value []byte }

// Answer is the reply to one waiting request.
type Answer[R any] struct {
	To    Ticket
	Reply R
}

// Effects is what one decision wants done: records to be appended, and answers to be given once they are committed.
type Effects[R any] struct {
	Records []Record
	Answers []Answer[R]
	arena   []byte
}

// Put asks for a record to be appended. The bytes are copied; a nil value is a tombstone.
func (fx *Effects[R]) Put(key, value []byte) {
	r := Record{Key: fx.keep(key)}
	if value != nil {
		r.Value = fx.keep(value)
	}
	fx.Records = append(fx.Records, r)
}

// keep copies b. The result is never nil.
func (fx *Effects[R]) keep(b []byte) []byte {
	if len(b) == 0 {
		return []byte{}
	}
	at := len(fx.arena)
	fx.arena = append(fx.arena, b...)
	return fx.arena[at:len(fx.arena):len(fx.arena)]
}

// Answer gives a waiting request its reply. NoTicket is ignored.
func (fx *Effects[R]) Answer(to Ticket, reply R) {
	if to != NoTicket {
		fx.Answers = append(fx.Answers, Answer[R]{to, reply})
	}
}

// Reset empties the effects for the next decision. Records handed out before are overwritten by it.
func (fx *Effects[R]) Reset() {
	clear(fx.Records)
	clear(fx.Answers)
	fx.Records, fx.Answers, fx.arena = fx.Records[:0], fx.Answers[:0], fx.arena[:0]
}

// Shard is a state machine: the state that belongs to one partition. Times are milliseconds since 1970 and never go back
// by more than the clock does; a shard must cope with a clock that does. O are its operations, R its replies.
type Shard[O, R any] interface {
	// Decide judges an operation. It changes no durable state: it asks for records. The request t waits until some
	// decision answers it.
	Decide(now int64, t Ticket, op O, fx *Effects[R])
	// Wake carries out what is due at now.
	Wake(now int64, fx *Effects[R])
	// NextWake is when Wake has something to do, at the earliest; Never if it waits for nothing.
	NextWake() int64
	// Replay applies one record of the log: the only change of durable state. The record's bytes are the caller's. An
	// unknown kind of record is passed over; an error means that the record cannot be understood.
	Replay(r Record) error
	// Loaded tells a fresh shard that all of the log has been replayed; it serves from now on.
	Loaded(now int64)
	// Len is the number of records that Durable yields.
	Len() int
	// Durable yields records that, replayed into a fresh shard, make the same durable state. A record's bytes hold until
	// the next is asked for.
	Durable() iter.Seq[Record]
}
