package api

import (
	"reflect"
	"testing"

	"github.com/millrun/millrun/core/config"
	"github.com/millrun/millrun/core/server"
)

func TestTheSettingsDefaultToTheLimitsOfTheListener(t *testing.T) {
	settings, _, err := config.ParseBroker(map[string]string{"node.id": "1"})
	if err != nil {
		t.Fatal(err)
	}
	got, want := ListenerLimits(settings), server.DefaultLimits()
	got.PerIP = nil
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%+v, not %+v", got, want)
	}
	settings, _, err = config.ParseBroker(map[string]string{"node.id": "1", "max.connections.per.ip.overrides": "10.0.0.1:5,::1:6"})
	if err != nil {
		t.Fatal(err)
	}
	if l := ConnectionLimits(settings); l.PerIP["10.0.0.1"] != 5 || l.PerIP["::1"] != 6 {
		t.Fatalf("%+v", l)
	}
}
