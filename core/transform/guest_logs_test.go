package transform

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/wasmhost/abi"
)

// creator creates every topic that is asked for.
type creator struct{}

func (creator) Call(context.Context, string, string, kmsg.Request) (kmsg.Response, error) {
	return &kmsg.CreateTopicsResponse{}, nil
}

func TestWhoFloodsTheLogsIsToldHowMuchWasDroppedEvenIfNothingFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(map[string]int{LogsTopic: 1})
		logs := newGuestLogs(1, creator{}, m, quiet())
		for range logBurst + 7000 {
			logs.add(LogsTopic, "loud", 3, abi.LevelInfo, "drip")
		}
		logs.add(LogsTopic, "quiet", 0, abi.LevelInfo, "hello")
		time.Sleep(2 * logNoticeInterval)
		synctest.Wait()
		if drips, dropped := heard(t, m); drips != logBurst || dropped != 7000 {
			t.Errorf("%d lines, and notices of %d", drips, dropped)
		}
		for range 3000 { // now for two seconds' lines
			logs.add(LogsTopic, "loud", 3, abi.LevelInfo, "drip")
		}
		logs.close(t.Context())
		if drips, dropped := heard(t, m); drips != logBurst+2*logLinesPerSecond || dropped != 7000+3000-2*logLinesPerSecond {
			t.Errorf("at the end %d lines, and notices of %d", drips, dropped)
		}
	})
}

// heard counts the lines of the loud deployment, and those that it was told of as dropped.
func heard(t *testing.T, m *memory) (drips, dropped int) {
	t.Helper()
	for _, v := range m.values(t, TopicPartition{LogsTopic, 0}) {
		var l LogLine
		if err := json.Unmarshal([]byte(v), &l); err != nil {
			t.Fatal(err)
		}
		var n int
		if l.Deployment != "loud" {
			continue
		} else if l.Message == "drip" {
			drips++
		} else if _, err := fmt.Sscanf(l.Message, "%d lines were dropped", &n); err != nil || l.Level != "warn" {
			t.Errorf("%+v", l)
		}
		dropped += n
	}
	return drips, dropped
}
