package api

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/config"
	"github.com/millrun/millrun/core/meta"
	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/replica"
	"github.com/millrun/millrun/core/server"
)

// testBroker is one broker: metadata in memory, a real store of partitions in a directory of the test, a real listener.
type testBroker struct {
	t       testing.TB
	addr    string
	handler *Handler
	server  *server.Server
	*replica.Store

	mu  sync.Mutex
	img *meta.Image
}

// noPartitions are the replicas of a broker that has none.
type noPartitions struct{}

func (noPartitions) Get(string, int32) (*replica.Partition, bool)           { return nil, false }
func (noPartitions) GetByID(meta.TopicID, int32) (*replica.Partition, bool) { return nil, false }
func (noPartitions) Dir() string                                            { return "" }
func (noPartitions) DeleteRecords(*replica.Partition, record.Offset) (record.Offset, error) {
	return record.NoOffset, replica.ErrNotLeader
}

const testClusterID = "4L6g3nShT-eMCtK--X86sw"

func startBroker(t testing.TB, settings ...string) *testBroker {
	t.Helper()
	given := map[string]string{"node.id": "1", "num.partitions": "4"}
	for i := 0; i < len(settings); i += 2 {
		given[settings[i]] = settings[i+1]
	}
	parsed, _, err := config.ParseBroker(given)
	if err != nil {
		t.Fatal(err)
	}
	b := &testBroker{t: t, img: &meta.Image{}}
	logger := slog.New(slog.DiscardHandler)
	b.Store, err = replica.OpenStore(replica.StoreConfig{Dir: t.TempDir(), Settings: parsed, NodeID: 1, Now: time.Now, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	b.handler, err = New(Config{Cluster: b, Partitions: b.Store, Settings: parsed, NodeID: 1, Logger: logger, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	b.server, err = server.New(server.Config{Handler: b.handler, Limits: server.DefaultLimits(), Logger: logger, ListenerName: "PLAINTEXT"})
	if err != nil {
		t.Fatal(err)
	}
	b.listen()
	return b
}

func (b *testBroker) listen() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.t.Fatal(err)
	}
	b.addr = ln.Addr().String()
	at := meta.Endpoint{Listener: "PLAINTEXT", Host: "127.0.0.1", Port: int32(ln.Addr().(*net.TCPAddr).Port), Security: "PLAINTEXT"}
	b.apply(&meta.SetCluster{ClusterID: testClusterID})
	b.apply(&meta.RegisterBroker{Broker: meta.Broker{ID: 1, Incarnation: "a", Endpoints: []meta.Endpoint{at}}})
	b.apply(&meta.ClaimController{Broker: 1, Incarnation: "a"})
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.server.Serve(ln)
	}()
	b.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := b.server.Close(ctx); err != nil {
			b.t.Error(err)
		}
		<-done
		if err := b.Store.Close(ctx); err != nil {
			b.t.Error(err)
		}
	})
}

func (b *testBroker) Image() *meta.Image {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.img
}

func (b *testBroker) Change(_ context.Context, decide func(*meta.Image) (meta.Command, error)) (*meta.Image, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	command, err := decide(b.img)
	if errors.Is(err, meta.ErrNothing) || err == nil && command == nil {
		return b.img, nil
	}
	if err != nil {
		return nil, err
	}
	next, err := meta.Apply(b.img, b.img.Seq()+1, command)
	if err != nil {
		return nil, err
	}
	b.Store.Reconcile(b.img, next)
	b.img = next
	return next, nil
}

func (b *testBroker) apply(command meta.Command) {
	b.t.Helper()
	if _, err := b.Change(context.Background(), func(*meta.Image) (meta.Command, error) { return command, nil }); err != nil {
		b.t.Fatal(err)
	}
}

// createTopic makes a topic without asking the broker; configs are names and values.
func (b *testBroker) createTopic(name string, partitions int32, configs ...string) *meta.Topic {
	b.t.Helper()
	given := map[string]string{}
	for i := 0; i < len(configs); i += 2 {
		given[configs[i]] = configs[i+1]
	}
	command, errs := meta.DecideCreateTopics(b.Image(), []meta.NewTopic{{
		Name: name, ID: randomTopicID(), Partitions: partitions, ReplicationFactor: 1, Configs: given,
	}}, meta.TopicDefaults{})
	if errs[0] != nil {
		b.t.Fatal(errs[0])
	}
	b.apply(command)
	t, _ := b.Image().Topic(name)
	return t
}

// batch is a record batch of values.
func batch(values ...string) record.Batch {
	builder := record.NewBuilder(nil)
	for _, v := range values {
		builder.Append(1_700_000_000_000, nil, []byte(v), nil)
	}
	b, err := builder.Build()
	if err != nil {
		panic(err)
	}
	return b
}

// testConn is a raw connection.
type testConn struct {
	net.Conn
	t    testing.TB
	next int32
}

func (b *testBroker) dial() *testConn {
	b.t.Helper()
	c, err := net.Dial("tcp", b.addr)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return &testConn{Conn: c, t: b.t}
}

// send writes one request.
func (c *testConn) send(req kmsg.Request) {
	c.t.Helper()
	c.next++
	b := kmsg.NewRequestFormatter(kmsg.FormatterClientID("test")).AppendRequest(nil, req, c.next)
	if _, err := c.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

// receive reads the response to req.
func (c *testConn) receive(req kmsg.Request) kmsg.Response {
	c.t.Helper()
	var size [4]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		c.t.Fatal(err)
	}
	b := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(c, b); err != nil {
		c.t.Fatal(err)
	}
	b = b[4:]
	if req.IsFlexible() && req.Key() != keyApiVersions {
		if b[0] != 0 {
			c.t.Fatalf("response header has tagged fields: %x", b[0])
		}
		b = b[1:]
	}
	resp := req.ResponseKind()
	if err := resp.ReadFrom(b); err != nil {
		c.t.Fatalf("response: %v: %x", err, b)
	}
	if again := resp.AppendTo(nil); string(again) != string(b) {
		c.t.Fatalf("%s v%d is not written as kmsg writes it:\n%x\n%x", kmsg.NameForKey(req.Key()), req.GetVersion(), b, again)
	}
	return resp
}

// do sends a request at a version and returns its response.
func do[S kmsg.Response](c *testConn, req kmsg.Request, version int16) S {
	c.t.Helper()
	req.SetVersion(version)
	c.send(req)
	return c.receive(req).(S)
}

// expectClosed fails unless the server ends the connection without a word.
func (c *testConn) expectClosed() {
	c.t.Helper()
	n, err := c.Read(make([]byte, 1))
	var ne net.Error
	if n != 0 || err == nil || errors.As(err, &ne) && ne.Timeout() {
		c.t.Fatalf("read %d bytes, %v", n, err)
	}
}

var appendOptions = replica.AppendOptions{Acks: replica.AcksLeader, Origin: replica.FromCoordinator}
