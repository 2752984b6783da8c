//go:build !unix

package replica

import "errors"

type dirLock struct{}

func lockDir(string) (*dirLock, error) {
	return nil, errors.New("data directories cannot be locked on this platform, which is not supported")
}

func (l *dirLock) release() error { return nil }
