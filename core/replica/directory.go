package replica

import (
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/millrun/millrun/core/meta"
	"github.com/millrun/millrun/core/seglog"
)

// properties is what meta.properties says: whose directory this is. The file is Java's, as Kafka writes it.
type properties struct {
	clusterID   string // "" until the cluster has one
	directoryID string
	nodeID      meta.NodeID
}

func (p properties) encode() []byte {
	var b strings.Builder
	b.WriteString("#\n")
	if p.clusterID != "" {
		fmt.Fprintf(&b, "cluster.id=%s\n", p.clusterID)
	}
	fmt.Fprintf(&b, "directory.id=%s\nnode.id=%d\nversion=1\n", p.directoryID, p.nodeID)
	return []byte(b.String())
}

func parseProperties(text string) (properties, error) {
	p := properties{nodeID: meta.NoNode}
	version := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			return p, fmt.Errorf("%s: line %q is not name=value", metaPropertiesFile, line)
		}
		switch strings.TrimSpace(name) {
		case "cluster.id":
			p.clusterID = strings.TrimSpace(value)
		case "directory.id":
			p.directoryID = strings.TrimSpace(value)
		case "version":
			version = strings.TrimSpace(value)
		case "node.id":
			n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 32)
			if err != nil {
				return p, fmt.Errorf("%s: node.id: %w", metaPropertiesFile, err)
			}
			p.nodeID = meta.NodeID(n)
		}
	}
	if version != "1" {
		return p, fmt.Errorf("%s: version %q is not 1", metaPropertiesFile, version)
	}
	return p, nil
}

func (s *Store) readProperties() (properties, bool, error) {
	b, err := readFile(s.fs, join(s.cfg.Dir, metaPropertiesFile))
	if err != nil || b == nil {
		return properties{nodeID: s.cfg.NodeID}, false, err
	}
	p, err := parseProperties(string(b))
	return p, true, err
}

// checkProperties refuses another broker's directory, and marks a new one as this broker's.
func (s *Store) checkProperties() error {
	p, found, err := s.readProperties()
	if err != nil {
		return err
	}
	if !found {
		var random [16]byte
		_, _ = rand.Read(random[:]) // never fails
		p.directoryID = meta.NewTopicID(random).String()
		if err := replaceFile(s.fs, s.cfg.Dir, metaPropertiesFile, p.encode()); err != nil {
			return err
		}
		return s.fs.SyncDir(filepath.Dir(s.cfg.Dir)) // the directory may be as new as the file
	}
	if p.nodeID != s.cfg.NodeID {
		return fmt.Errorf("it belongs to node.id %d, and this broker is %d", p.nodeID, s.cfg.NodeID)
	}
	return nil
}

// SetClusterID notes which cluster the directory belongs to, and fails if it is another one's.
func (s *Store) SetClusterID(id string) error {
	p, _, err := s.readProperties()
	switch {
	case err != nil:
	case p.clusterID == id:
		return nil
	case p.clusterID != "":
		err = fmt.Errorf("it belongs to cluster %s, and its metadata to %s: restore the folder meta, or take cluster.id out of %s to begin anew, "+
			"which sets all partitions aside", p.clusterID, id, metaPropertiesFile)
	default:
		p.clusterID = id
		err = replaceFile(s.fs, s.cfg.Dir, metaPropertiesFile, p.encode())
	}
	if err != nil {
		return fmt.Errorf("data directory %s: %w", s.cfg.Dir, err)
	}
	return nil
}

// takeMarks returns what the logs looked like when they were closed, nothing if the last stop was not a clean one. The
// files that say so are gone, durably, when it returns: they are good for one start.
func (s *Store) takeMarks() (map[string]seglog.CloseMark, error) {
	marks := map[string]seglog.CloseMark{}
	_, err := s.fs.Stat(join(s.cfg.Dir, cleanStopFile))
	if isNotExist(err) {
		return marks, nil
	}
	if err != nil {
		return nil, err
	}
	found, err := seglog.ReadCloseMarks(s.fs, s.cfg.Dir, closeMarksFile)
	switch {
	case err == nil:
		marks = found
	case isNotExist(err) || errors.Is(err, seglog.ErrFormat):
		s.cfg.Logger.Warn("clean stop without marks, recovering the logs", "dir", s.cfg.Dir, "error", err)
	default:
		return nil, err
	}
	for _, name := range []string{cleanStopFile, closeMarksFile} {
		if err := s.fs.Remove(join(s.cfg.Dir, name)); err != nil && !isNotExist(err) {
			return nil, err
		}
	}
	return marks, s.fs.SyncDir(s.cfg.Dir)
}

// leaveMarks marks the directory as cleanly stopped.
func (s *Store) leaveMarks(marks map[string]seglog.CloseMark) error {
	if err := seglog.WriteCloseMarks(s.fs, s.cfg.Dir, closeMarksFile, marks); err != nil {
		return err
	}
	return replaceFile(s.fs, s.cfg.Dir, cleanStopFile, []byte(`{"version":0,"brokerEpoch":-1}`))
}
