package config

import (
	"maps"
	"slices"
	"strings"
)

// listenerPrefix begins settings that concern one listener: listener.name.<name>.<setting>.
const listenerPrefix = "listener.name."

// dynamicSecurity are the settings that may be changed at run time for single listeners only.
var dynamicSecurity = []string{
	"ssl.key.password", "ssl.keystore.certificate.chain", "ssl.keystore.key", "ssl.keystore.location", "ssl.keystore.password",
	"ssl.keystore.type", "ssl.truststore.certificates", "ssl.truststore.location", "ssl.truststore.password", "ssl.truststore.type",
}

// frozen are settings that Kafka can change at run time and we, who act on them at the start, cannot.
var frozen = []string{"listeners", "listener.security.protocol.map"}

// CheckDynamic tells whether broker settings may be changed at run time to these values: for one broker, or for all of
// them. Names that nobody knows are let through, as Kafka does: they may belong to a plugin. The errors are Kafka's.
func CheckDynamic(s *BrokerSettings, changes map[string]string, oneBroker bool) error {
	var readOnly, security, perBroker []string
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		d, listener := dynamicDef(name)
		if d == nil {
			continue
		}
		if d.ReadOnly() || slices.Contains(frozen, name) {
			readOnly = append(readOnly, name)
		}
		if !listener && slices.Contains(dynamicSecurity, name) {
			security = append(security, name)
		}
		if listener || d.Update == PerBroker {
			perBroker = append(perBroker, name)
		}
	}
	if len(readOnly) > 0 {
		return refuseNames("Cannot update these configs dynamically: ", readOnly)
	}
	if len(security) > 0 {
		return refuseNames("These security configs can be dynamically updated only per-listener using the listener prefix: ", security)
	}
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		if d, listener := dynamicDef(name); d != nil && !listener {
			if _, err := parse(d, changes[name]); err != nil {
				return err
			}
		}
	}
	if !oneBroker && len(perBroker) > 0 {
		return refuseNames("Cannot update these configs at default cluster level, broker id must be specified: ", perBroker)
	}
	if oneBroker {
		return s.WithDynamic(s.cluster, changes).checkTogether()
	}
	return s.WithDynamic(changes, s.own).checkTogether()
}

func refuseNames(why string, names []string) error {
	return &ConflictError{why + "[" + strings.Join(names, ", ") + "]"}
}

// dynamicDef finds the setting, and tells whether it is that of one listener.
func dynamicDef(name string) (d *Def, listener bool) {
	if rest, ok := strings.CutPrefix(name, listenerPrefix); ok {
		if _, base, ok := strings.Cut(rest, "."); ok {
			d, _ = BrokerDef(base)
			return d, true
		}
	}
	d, _ = BrokerDef(name)
	return d, false
}

// CheckGroupSet tells whether a group may have all of these settings on a broker with settings s.
func CheckGroupSet(s *BrokerSettings, overrides map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(overrides)) {
		d, ok := GroupDef(name)
		if !ok {
			return &UnknownError{Kind: "group", Name: name}
		}
		v, err := parse(d, overrides[name])
		if err != nil {
			return err
		}
		if err := s.checkGroupBounds(d, v); err != nil {
			return err
		}
	}
	return nil
}

// checkGroupBounds holds a group's setting against the broker's bounds for it: x.y.ms against x.min.y.ms and x.max.y.ms.
func (s *BrokerSettings) checkGroupBounds(d *Def, v value) error {
	if d.Synonym == "" || d.Type != Int {
		return nil
	}
	kind, rest, _ := strings.Cut(strings.TrimPrefix(d.Synonym, "group."), ".")
	if name := "group." + kind + ".min." + rest; s.has(name) && v.n < s.Int(name) {
		return &ConflictError{d.Name + " must be greater than or equal to " + name}
	}
	if name := "group." + kind + ".max." + strings.TrimPrefix(rest, "num."); s.has(name) && v.n > s.Int(name) {
		return &ConflictError{d.Name + " must be less than or equal to " + name}
	}
	return nil
}

func (s *BrokerSettings) has(name string) bool {
	_, ok := s.settings[name]
	return ok
}
