package api

import (
	"maps"
	"sync/atomic"

	"github.com/millrun/millrun/core/config"
	"github.com/millrun/millrun/core/meta"
)

// liveSettings remembers the settings of this broker as they are with the changes made at run time.
type liveSettings struct{ last atomic.Pointer[settingsAt] }

// settingsAt is immutable.
type settingsAt struct {
	img          *meta.Image
	cluster, own map[string]string
	settings     *config.BrokerSettings
}

// settings returns the settings in force.
func (h *Handler) settings() *config.BrokerSettings { return h.settingsOf(h.cfg.Cluster.Image()) }

// settingsOf returns the settings that are in force with an image: those that the broker was started with, and what the
// cluster has stored for it and for all brokers.
func (h *Handler) settingsOf(img *meta.Image) *config.BrokerSettings {
	last := h.live.last.Load()
	if last != nil && last.img == img {
		return last.settings
	}
	next := &settingsAt{img: img, cluster: img.BrokerConfigs(meta.ClusterDefault), own: img.BrokerConfigs(h.cfg.NodeID)}
	if last != nil && maps.Equal(last.cluster, next.cluster) && maps.Equal(last.own, next.own) {
		next.settings = last.settings
	} else {
		next.settings = h.cfg.Settings.WithDynamic(next.cluster, next.own)
	}
	h.live.last.Store(next)
	return next.settings
}
