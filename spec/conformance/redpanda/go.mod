module github.com/millrun/millrun/spec/conformance/redpanda

go 1.26.0

require (
	github.com/redpanda-data/common-go/rpadmin v0.1.14
	github.com/redpanda-data/redpanda/src/transform-sdk/go/transform v1.1.0
	github.com/twmb/franz-go v1.22.2
	github.com/twmb/franz-go/pkg/kadm v1.19.0
)

require (
	github.com/hashicorp/errwrap v1.1.0 // indirect
	github.com/hashicorp/go-multierror v1.1.1 // indirect
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/pierrec/lz4/v4 v4.1.33 // indirect
	github.com/redpanda-data/common-go/net v0.1.0 // indirect
	github.com/sethgrid/pester v1.2.0 // indirect
	github.com/twmb/franz-go/pkg/kmsg v1.15.0 // indirect
	go.uber.org/multierr v1.11.0 // indirect
	go.uber.org/zap v1.27.0 // indirect
)
