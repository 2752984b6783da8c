package meta

// Broker is one registered broker. Treat it as immutable.
type Broker struct {
	ID          NodeID
	Epoch       uint64 // the sequence at which this incarnation registered; set by Apply
	Incarnation string // another one for each start of the process
	Endpoints   []Endpoint
	Rack        string
	Fenced      bool // registered, but not to be given partitions or shown to clients
}

// Endpoint is where a broker listens.
type Endpoint struct {
	Listener string // its name, as PLAINTEXT
	Host     string
	Port     int32
	Security string // the protocol: PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL
}

// Endpoint returns the broker's address on the listener with this name.
func (b *Broker) Endpoint(listener string) (Endpoint, bool) {
	for _, e := range b.Endpoints {
		if e.Listener == listener {
			return e, true
		}
	}
	return Endpoint{}, false
}

func (b *Broker) encode(w *writer) {
	w.varint(int64(b.ID))
	w.uvarint(b.Epoch)
	w.str(b.Incarnation)
	w.str(b.Rack)
	w.bool(b.Fenced)
	w.uvarint(uint64(len(b.Endpoints)))
	for _, e := range b.Endpoints {
		w.str(e.Listener)
		w.str(e.Host)
		w.varint(int64(e.Port))
		w.str(e.Security)
	}
}

func decodeBroker(r *reader) *Broker {
	b := &Broker{ID: r.node(), Epoch: r.uvarint(), Incarnation: r.str(), Rack: r.str(), Fenced: r.bool()}
	for range r.count(4) {
		b.Endpoints = append(b.Endpoints, Endpoint{Listener: r.str(), Host: r.str(), Port: r.int32(), Security: r.str()})
	}
	return b
}
