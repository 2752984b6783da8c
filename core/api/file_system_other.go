//go:build !linux && !darwin

package api

import "errors"

// fileSystemSize is not known here.
func fileSystemSize(string) (total, usable int64, err error) { return 0, 0, errors.ErrUnsupported }
