package main

import (
	"os/exec"
	"testing"
)

func TestTheCommittedModulesAreWhatTheSourcesBuild(t *testing.T) {
	if testing.Short() {
		t.Skip("builds three modules: not with -short")
	}
	cmd := exec.Command("go", "version")
	cmd.Env = environment()
	if err := cmd.Run(); err != nil {
		t.Skipf("the toolchain %s is not there", toolchain)
	}
	if err := run(true); err != nil {
		t.Error(err)
	}
}
