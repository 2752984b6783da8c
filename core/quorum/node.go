package quorum

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"github.com/millrun/millrun/core/meta"
)

const (
	streamName     = "META"
	logSubject     = "meta.log"
	appliedSubject = "meta.applied"
	accountName    = "META"
)

// node is the embedded server and this process's connection to it.
type node struct {
	srv  *server.Server
	log  *natsLogger
	conn *nats.Conn
	js   jetstream.JetStream
}

// startNode starts the server on the folder and connects to it. No port is opened: the only way in is a connection
// inside this process, with a key that is made anew at every start.
func startNode(dir string, id meta.NodeID, logger *slog.Logger) (*node, error) {
	n := &node{log: &natsLogger{log: logger}}
	key, err := nkeys.CreateUser()
	if err != nil {
		return nil, fmt.Errorf("metadata log: key: %w", err)
	}
	public, err := key.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("metadata log: key: %w", err)
	}
	opts, err := serverOptions(dir, id, public)
	if err != nil {
		return nil, fmt.Errorf("metadata log: options: %w", err)
	}
	if n.srv, err = server.NewServer(opts); err != nil {
		return nil, fmt.Errorf("metadata log: server: %w", err)
	}
	n.srv.SetLoggerV2(n.log, false, false, false)
	n.srv.Start()
	if !n.srv.ReadyForConnections(requestTimeout) || !n.srv.JetStreamEnabled() {
		n.close()
		return nil, fmt.Errorf("metadata log %s: JetStream did not start: %s", dir, n.log.complaints())
	}
	n.conn, err = nats.Connect("", nats.InProcessServer(n.srv), nats.Name("millrun"), nats.NoReconnect(),
		nats.Nkey(public, key.Sign), nats.Timeout(requestTimeout), nats.ErrorHandler(n.asyncError),
		nats.SyncQueueLen(2*maxRead)) // each read makes a queue: the default's 65,536 places are half a megabyte
	if err != nil {
		n.close()
		return nil, fmt.Errorf("metadata log: connect: %w", err)
	}
	if n.js, err = jetstream.New(n.conn, jetstream.WithDefaultTimeout(requestTimeout)); err != nil {
		n.close()
		return nil, fmt.Errorf("metadata log: connect: %w", err)
	}
	return n, nil
}

// serverOptions are those of a single node. With no account but the system's, the server would silently let anybody in.
func serverOptions(dir string, id meta.NodeID, public string) (*server.Options, error) {
	opts := &server.Options{
		ServerName:         fmt.Sprintf("millrun-%d", id),
		DontListen:         true,
		NoSigs:             true,
		JetStream:          true,
		StoreDir:           dir,
		SyncAlways:         true,
		JetStreamMaxStore:  jetStreamMaxStore,
		JetStreamMaxMemory: jetStreamMaxMemory,
		MaxPayload:         maxMessageSize,
	}
	err := opts.ProcessConfigString(fmt.Sprintf(`
		accounts {
			SYS {}
			%s { jetstream: enabled, users: [ { nkey: %s, allowed_connection_types: ["IN_PROCESS"] } ] }
		}
		system_account: SYS
	`, accountName, public))
	return opts, err
}

// asyncError hears of notices that were dropped because the log was slow to apply: it reads them from the stream.
func (n *node) asyncError(_ *nats.Conn, _ *nats.Subscription, err error) {
	n.log.log.Debug("metadata log connection", "error", err)
}

func (n *node) close() {
	if n.conn != nil {
		n.conn.Close()
	}
	n.srv.Shutdown()
	n.srv.WaitForShutdown()
}

// stream returns the log's state, and creates the log if it does not exist and create is true.
func (n *node) stream(ctx context.Context, create bool) (jetstream.StreamState, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	s, err := n.js.Stream(ctx, streamName)
	if errors.Is(err, jetstream.ErrStreamNotFound) && create {
		s, err = n.js.CreateStream(ctx, jetstream.StreamConfig{
			Name:               streamName,
			Subjects:           []string{logSubject},
			Storage:            jetstream.FileStorage,
			Replicas:           1,
			Retention:          jetstream.LimitsPolicy,
			Discard:            jetstream.DiscardNew,
			Duplicates:         2 * time.Minute,
			DenyDelete:         true,
			AllowDirect:        true,
			AllowAtomicPublish: true,
			RePublish:          &jetstream.RePublish{Source: logSubject, Destination: appliedSubject},
		})
	}
	if err != nil {
		return jetstream.StreamState{}, err
	}
	return s.CachedInfo().State, nil
}

// purge removes the log's messages before seq.
func (n *node) purge(ctx context.Context, seq uint64) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	s, err := n.js.Stream(ctx, streamName)
	if err != nil {
		return err
	}
	return s.Purge(ctx, jetstream.WithPurgeSequence(seq))
}

// getRequest is the body of a Direct Get.
type getRequest struct {
	Seq       uint64 `json:"seq,omitempty"`
	NextFor   string `json:"next_by_subj,omitempty"`
	LastFor   string `json:"last_by_subj,omitempty"`
	Batch     int    `json:"batch,omitempty"`
	MaxBytes  int    `json:"max_bytes,omitempty"`
	NoHeaders bool   `json:"no_hdr,omitempty"`
}

// errNoStream says that nobody answers for a stream: there is none, or JetStream has been shut down.
var errNoStream = fmt.Errorf("%w: no answer from the stream", ErrUnavailable)

// get asks a stream for messages without a consumer. It calls fn for each that comes.
func (n *node) get(stream string, req getRequest, fn func(*nats.Msg) error) error {
	body, err := json.Marshal(req)
	if err != nil {
		return err
	}
	inbox := n.conn.NewInbox()
	sub, err := n.conn.SubscribeSync(inbox)
	if err != nil {
		return err
	}
	defer sub.Unsubscribe()
	if err := n.conn.PublishRequest("$JS.API.DIRECT.GET."+stream, inbox, body); err != nil {
		return err
	}
	for {
		msg, err := sub.NextMsg(requestTimeout)
		if errors.Is(err, nats.ErrNoResponders) {
			return fmt.Errorf("read of stream %s: %w", stream, errNoStream)
		}
		if err != nil {
			return fmt.Errorf("read of stream %s: %w", stream, err)
		}
		switch status := msg.Header.Get("Status"); status {
		case "":
		case "204", "404": // the batch's end, no such message
			return nil
		default:
			return fmt.Errorf("read of stream %s: %s %s", stream, status, msg.Header.Get("Description"))
		}
		if err := fn(msg); err != nil {
			return err
		}
		if req.Batch == 0 {
			return nil
		}
	}
}

// readLog calls fn for each message of the log from seq on, up to the end or a bounded number; more says that there may
// be more.
func (n *node) readLog(seq uint64, fn func(message) error) (more bool, err error) {
	return n.readSome(seq, maxRead, fn)
}

func (n *node) readSome(seq uint64, batch int, fn func(message) error) (more bool, err error) {
	const maxBytes = 8 << 20
	err = n.get(streamName, getRequest{Seq: seq, NextFor: ">", Batch: batch, MaxBytes: maxBytes}, func(msg *nats.Msg) error {
		m, err := parseMessage(msg)
		if err != nil {
			return err
		}
		more = true
		return fn(m)
	})
	return more, err
}

// hasLogAfter tells whether the log has a message after seq.
func (n *node) hasLogAfter(seq uint64) (bool, error) {
	found := false
	err := n.get(streamName, getRequest{Seq: seq + 1, NextFor: ">"}, func(*nats.Msg) error {
		found = true
		return nil
	})
	return found, err
}

// message is one message of the log.
type message struct {
	seq  uint64
	id   string
	data []byte
}

func parseMessage(msg *nats.Msg) (message, error) {
	seq, err := strconv.ParseUint(msg.Header.Get(nats.JSSequence), 10, 64)
	if err != nil || seq == 0 {
		return message{}, fmt.Errorf("%w: a message with the sequence %q", ErrDamaged, msg.Header.Get(nats.JSSequence))
	}
	return message{seq: seq, id: msg.Header.Get(nats.MsgIdHdr), data: msg.Data}, nil
}

// publish sends an append; the answer comes to the subject reply.
func (n *node) publish(reply, id string, after uint64, data []byte) error {
	msg := nats.NewMsg(logSubject)
	msg.Reply = reply
	msg.Data = data
	msg.Header.Set(nats.MsgIdHdr, id)
	msg.Header.Set(nats.ExpectedLastSeqHdr, strconv.FormatUint(after, 10))
	return n.conn.PublishMsg(msg)
}

// errConflict says that the log has gone on since the sequence that an append expected.
var errConflict = errors.New("the log has gone on")

// parseAnswer returns the error of an append's answer.
func parseAnswer(msg *nats.Msg) error {
	if msg.Header.Get("Status") == "503" {
		return errNoStream
	}
	var answer struct {
		Error *struct {
			ErrCode     int    `json:"err_code"`
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(msg.Data, &answer); err != nil {
		return fmt.Errorf("%w: answer %q: %w", ErrUnavailable, msg.Data, err)
	}
	switch {
	case answer.Error == nil:
		return nil
	case answer.Error.ErrCode == int(server.JSStreamWrongLastSequenceErrF), answer.Error.ErrCode == int(server.JSStreamWrongLastSequenceConstantErr):
		return errConflict
	}
	return fmt.Errorf("%w: %s", ErrUnavailable, strings.TrimSpace(answer.Error.Description))
}
