//go:build wasip1

// Command guest is a module of Redpanda's, made with its Go SDK: what it does with a record is what the record's value says.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/redpanda-data/redpanda/src/transform-sdk/go/transform"
	"github.com/redpanda-data/redpanda/src/transform-sdk/go/transform/sr"
)

func main() {
	fmt.Println("starting with", os.Getenv("GREETING"))
	if os.Getenv("GREETING") == "exit" {
		os.Exit(3)
	}
	transform.OnRecordWritten(onRecord)
}

func onRecord(e transform.WriteEvent, w transform.RecordWriter) error {
	r := e.Record()
	answer := func(text string) error { return w.Write(transform.Record{Key: r.Key, Value: []byte(text)}) }
	switch string(r.Value) {
	case "both":
		if err := w.Write(r, transform.ToTopic(os.Getenv("REDPANDA_OUTPUT_TOPIC_1"))); err != nil {
			return err
		}
	case "headers":
		r.Headers = append(r.Headers, transform.RecordHeader{Key: []byte("seen-by"), Value: []byte(os.Getenv("GREETING"))},
			transform.RecordHeader{Key: []byte("nothing")})
	case "tombstone":
		r.Value = nil
	case "keyless":
		r.Key = nil
	case "environment":
		words := []string{os.Args[0]}
		for _, name := range []string{"REDPANDA_INPUT_TOPIC", "REDPANDA_OUTPUT_TOPIC_0", "REDPANDA_OUTPUT_TOPIC_1", "GREETING"} {
			words = append(words, os.Getenv(name))
		}
		return answer(strings.Join(words, " "))
	case "clock":
		return answer(fmt.Sprint(time.Now().UnixMilli(), r.Timestamp.UnixMilli()))
	case "registry":
		if _, err := sr.NewClient().LookupSchemaById(7); err != nil {
			return answer("off")
		}
		return answer("on")
	case "undeclared":
		if err := w.Write(r, transform.ToTopic("nowhere")); err != nil {
			return answer("refused")
		}
		return answer("written")
	case "log":
		fmt.Println("an info line")
		fmt.Fprintln(os.Stderr, "a warn line")
		return nil
	case "drop":
		return nil
	case "error":
		return errors.New("no good")
	case "panic":
		panic("all is lost")
	case "exit":
		os.Exit(7)
	case "loop":
		for n := 0; ; n++ {
		}
	}
	return w.Write(r)
}
