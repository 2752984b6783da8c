package transform

import (
	"fmt"
	"slices"
	"strings"

	"github.com/millrun/millrun/core/meta"
)

// checkCycle refuses a deployment whose outputs or dead letters would come back to it, by itself or through others. What
// the others do now does not matter: one that is paused is resumed one day. Topics need not exist: a pattern may match
// what is created later.
func checkCycle(img *meta.Image, deployment *meta.Deployment) error {
	type reader struct {
		*meta.Deployment
		reads *subscription
	}
	all := []reader{{deployment, subscriptionOf(deployment)}}
	for _, other := range img.Deployments() {
		if other.Name != deployment.Name {
			all = append(all, reader{other, subscriptionOf(other)})
		}
	}
	type step struct {
		*meta.Deployment
		path []string // what leads to this deployment
	}
	queue, seen := []step{{deployment, nil}}, map[string]bool{}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, topic := range writes(at.Deployment) {
			for _, next := range all {
				if !next.reads.has(topic) {
					continue
				}
				path := append(slices.Clone(at.path), fmt.Sprintf("%s writes %s, which %s reads", at.Name, topic, next.Name))
				if next.Name == deployment.Name {
					return refuse(ErrInvalid, "what deployment %s writes would come back to it for ever: %s", deployment.Name, strings.Join(path, "; "))
				}
				if !seen[next.Name] {
					seen[next.Name] = true
					queue = append(queue, step{next.Deployment, path})
				}
			}
		}
	}
	return nil
}
