//go:build !unix

package replica

func openFilesAllowed() int { return 0 }
