package api

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func apiVersionsRequest(name, version string) *kmsg.ApiVersionsRequest {
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = name, version
	return req
}

func TestApiVersionsListsTheTable(t *testing.T) {
	b := startBroker(t)
	for version := int16(0); version <= 5; version++ {
		resp := do[*kmsg.ApiVersionsResponse](b.dial(), apiVersionsRequest("kgo", "v1.2.3-rc"), version)
		rows := table()
		if resp.ErrorCode != 0 || len(resp.ApiKeys) != len(rows) || len(resp.SupportedFeatures) != 0 || len(resp.FinalizedFeatures) != 0 {
			t.Fatalf("v%d: %+v", version, resp)
		}
		for i, k := range resp.ApiKeys {
			low := rows[i].min
			if k.ApiKey == 0 {
				low = 0 // KAFKA-18659
			}
			if k.ApiKey != rows[i].key || k.MinVersion != low || k.MaxVersion != rows[i].max {
				t.Fatalf("v%d: %+v, the table has %+v", version, k, rows[i])
			}
		}
	}
}

func TestApiVersionsAnswersVersionsItDoesNotKnowInTheOldestForm(t *testing.T) {
	b := startBroker(t)
	for _, version := range []uint16{6, 99, 32767, 0xffff} {
		c := b.dial()
		if _, err := c.Write([]byte{0, 0, 0, 11, 0, 18, byte(version >> 8), byte(version), 0, 0, 0, 7, 0xff, 0xee, 0xdd}); err != nil {
			t.Fatal(err)
		}
		old := kmsg.NewPtrApiVersionsRequest() // reads version 0
		resp := c.receive(old).(*kmsg.ApiVersionsResponse)
		if resp.ErrorCode != codeUnsupportedVersion || len(resp.ApiKeys) != 1 || resp.ApiKeys[0].ApiKey != 18 || resp.ApiKeys[0].MaxVersion != 5 {
			t.Fatalf("version %d: %+v", version, resp)
		}
		again := do[*kmsg.ApiVersionsResponse](c, apiVersionsRequest("kgo", "1"), 4) // on the same connection
		if again.ErrorCode != 0 {
			t.Fatalf("then: %+v", again)
		}
	}
}

func TestApiVersionsChecksWhatAClientCallsItselfAndWhomItMeans(t *testing.T) {
	b := startBroker(t)
	here, there := testClusterID, "another"
	for _, test := range []struct {
		name, version string
		cluster       *string
		node          int32
		want          int16
	}{
		{"a", "1", nil, -1, codeNone},
		{"apache-kafka-java", "4.3.1", &here, 1, codeNone},
		{"", "1", nil, -1, codeInvalidRequest},
		{"a", "", nil, -1, codeInvalidRequest},
		{"-a", "1", nil, -1, codeInvalidRequest},
		{"a b", "1", nil, -1, codeInvalidRequest},
		{"a\n", "1", nil, -1, codeInvalidRequest},
		{"a", "1.", nil, -1, codeInvalidRequest},
		{"a", "1", &there, 1, codeRebootstrapRequired},
		{"a", "1", &here, 2, codeRebootstrapRequired},
		{"a", "1", &here, -1, codeInvalidRequest},
		{"a", "1", nil, 1, codeInvalidRequest},
	} {
		req := apiVersionsRequest(test.name, test.version)
		req.ClusterID, req.NodeID = test.cluster, test.node
		if resp := do[*kmsg.ApiVersionsResponse](b.dial(), req, 5); resp.ErrorCode != test.want {
			t.Errorf("%+v: code %d", test, resp.ErrorCode)
		}
	}
}
