package group

import "github.com/millrun/millrun/core/machine"

// Why an operation was not decided. A client may try again: after it has asked anew who coordinates the group, in the case
// of ErrNotCoordinator.
var (
	ErrNotCoordinator = machine.ErrNotLeader
	ErrLoading        = machine.ErrLoading
	ErrUnavailable    = machine.ErrUnavailable
	ErrClosed         = machine.ErrClosed
)
