package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/config"
)

// shown is a value as responses carry it: nil where there is none, or where it is a secret.
func shown(value string, isNil bool) *string {
	if isNil {
		return nil
	}
	return &value
}

// describedConfig is a setting as DescribeConfigs answers it.
func describedConfig(e config.Entry, synonyms, docs bool) kmsg.DescribeConfigsResponseResourceConfig {
	d := kmsg.NewDescribeConfigsResponseResourceConfig()
	d.Name, d.Value = e.Name, shown(e.Value, e.Nil)
	d.ReadOnly, d.IsSensitive = e.ReadOnly, e.Sensitive
	d.Source, d.ConfigType = kmsg.ConfigSource(e.Source), kmsg.ConfigType(e.Type)
	if docs {
		d.Documentation = &e.Doc
	}
	if !synonyms {
		return d
	}
	for _, y := range e.Synonyms {
		s := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
		s.Name, s.Value, s.Source = y.Name, shown(y.Value, y.Nil), kmsg.ConfigSource(y.Source)
		d.ConfigSynonyms = append(d.ConfigSynonyms, s)
	}
	return d
}
