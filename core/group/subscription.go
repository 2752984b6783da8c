package group

// subscribedTopics calls add with each topic of a consumer's subscription: the metadata that consumers send with their
// join. All its versions begin with an int16 version and the topics.
//
// known is false for metadata that is too short for that: such a member's topics are not known, but it may take part.
// sound is false for metadata that no consumer can mean: a count or a length beyond its end.
func subscribedTopics(metadata []byte, add func(topic []byte)) (known, sound bool) {
	if len(metadata) < 6 {
		return false, true
	}
	c := cursor{b: metadata}
	c.int16()
	n := int(c.int32())
	if n < 0 || n > len(c.b)/2 {
		return false, false
	}
	for range n {
		topic := c.string()
		if c.bad {
			return false, false
		}
		add(topic)
	}
	return true, true
}
