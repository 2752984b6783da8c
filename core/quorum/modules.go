package quorum

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	bucket       = "modules"
	bucketStream = "OBJ_" + bucket
)

// PutModule stores a module under its SHA-256, in lower-case hexadecimal; when it returns, the module is on disk. The
// error is ErrBadModule if the bytes have another SHA-256 or are more than MaxModuleSize.
func (l *Log) PutModule(ctx context.Context, sha string, b []byte) error {
	if len(b) > MaxModuleSize {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrBadModule, len(b), MaxModuleSize)
	}
	if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != sha {
		return fmt.Errorf("%w: its SHA-256 is %x, not %s", ErrBadModule, sum, sha)
	}
	if err := l.Err(); err != nil {
		return err
	}
	if _, err := l.Module(ctx, sha); err == nil {
		return nil
	}
	store, err := l.bucket(ctx)
	if err == nil {
		_, err = store.Put(ctx, jetstream.ObjectMeta{Name: sha}, bytes.NewReader(b))
	}
	if err != nil {
		return fmt.Errorf("store module %s: %w%s", sha, err, l.node.log.suffix())
	}
	return nil
}

// bucket opens the object store, and makes it if this is the first module.
func (l *Log) bucket(ctx context.Context) (jetstream.ObjectStore, error) {
	store, err := l.node.js.ObjectStore(ctx, bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		store, err = l.node.js.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: bucket, Storage: jetstream.FileStorage, Replicas: 1})
	}
	return store, err
}

// Module returns the module with this SHA-256, whose bytes were compared with it. The errors are ErrNoModule, and
// ErrBadModule for one that is damaged.
//
// The object store's own way of reading would use an ordered consumer, which in a cluster is blind for seconds when its
// node dies: the chunks are read from the bucket's stream instead.
func (l *Log) Module(ctx context.Context, sha string) ([]byte, error) {
	if err := l.Err(); err != nil {
		return nil, err
	}
	var info jetstream.ObjectInfo
	subject := "$O." + bucket + ".M." + base64.URLEncoding.EncodeToString([]byte(sha))
	if err := l.node.get(bucketStream, getRequest{LastFor: subject}, func(msg *nats.Msg) error {
		return json.Unmarshal(msg.Data, &info)
	}); errors.Is(err, errNoStream) && l.node.srv.JetStreamEnabled() {
		return nil, fmt.Errorf("%w: %s", ErrNoModule, sha)
	} else if err != nil {
		return nil, fmt.Errorf("module %s: %w", sha, err)
	}
	if info.NUID == "" || info.Deleted {
		return nil, fmt.Errorf("%w: %s", ErrNoModule, sha)
	}
	if info.Size > MaxModuleSize || info.Chunks >= maxRead {
		return nil, fmt.Errorf("%w: %s has %d bytes in %d pieces", ErrBadModule, sha, info.Size, info.Chunks)
	}
	b := make([]byte, 0, info.Size)
	req := getRequest{Seq: 1, NextFor: "$O." + bucket + ".C." + info.NUID, Batch: int(info.Chunks) + 1}
	if err := l.node.get(bucketStream, req, func(msg *nats.Msg) error {
		if b = append(b, msg.Data...); len(b) > MaxModuleSize {
			return ErrBadModule
		}
		return ctx.Err()
	}); err != nil {
		return nil, fmt.Errorf("module %s: %w", sha, err)
	}
	if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != sha {
		return nil, fmt.Errorf("%w: %s is stored as %d bytes with the SHA-256 %x", ErrBadModule, sha, len(b), sum)
	}
	return b, nil
}

// DeleteModule removes a module; it is no error if there is none.
func (l *Log) DeleteModule(ctx context.Context, sha string) error {
	if err := l.Err(); err != nil {
		return err
	}
	store, err := l.node.js.ObjectStore(ctx, bucket)
	if err == nil {
		err = store.Delete(ctx, sha)
	}
	if err == nil || errors.Is(err, jetstream.ErrBucketNotFound) || errors.Is(err, jetstream.ErrObjectNotFound) {
		return nil
	}
	return fmt.Errorf("delete module %s: %w", sha, err)
}

// ModuleHashes returns the SHA-256 of every module that is stored.
func (l *Log) ModuleHashes(ctx context.Context) ([]string, error) {
	if err := l.Err(); err != nil {
		return nil, err
	}
	store, err := l.node.js.ObjectStore(ctx, bucket)
	var objects []*jetstream.ObjectInfo
	if err == nil {
		objects, err = store.List(ctx)
	}
	if errors.Is(err, jetstream.ErrBucketNotFound) || errors.Is(err, jetstream.ErrNoObjectsFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list modules: %w", err)
	}
	hashes := make([]string, 0, len(objects))
	for _, o := range objects {
		hashes = append(hashes, o.Name)
	}
	return hashes, nil
}
