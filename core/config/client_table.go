package config

// ClientMetrics is every setting of a client metrics subscription, sorted by name. Do not change it.
var ClientMetrics = []Def{
	{Name: "interval.ms", Type: Int, Default: "300000", rule: rule{kind: between, min: 100, max: 3600000}, Update: ClusterWide, Doc: "Time between pushes of a client's metrics."},
	{Name: "match", Type: List, Update: ClusterWide, Doc: "Which clients are asked, as key=pattern."},
	{Name: "metrics", Type: List, Update: ClusterWide, Doc: "Prefixes of the metrics that are asked for; * for all."},
}
