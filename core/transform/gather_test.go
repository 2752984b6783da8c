package transform

import (
	"context"
	"testing"
)

func TestMembersThatStartTogetherAreToldToLookAtTheGroup(t *testing.T) {
	members := []*member{newMember(memberConfig{}), newMember(memberConfig{})}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		gather(ctx, members)
		close(done)
	}()
	for range 2 { // more than once: what one has given up the others have to be told of too
		for _, m := range members {
			<-m.poked
		}
	}
	cancel()
	<-done
}
