package meta

import "strings"

// MaxNameLength bounds the name of a topic or deployment.
const MaxNameLength = 249

// CheckTopicName returns ErrInvalidTopic, with Kafka's words, for a name that no topic may have.
func CheckTopicName(name string) error {
	if why := nameFault(name); why != "" {
		return refuse(ErrInvalidTopic, "Topic name is invalid: %s", why)
	}
	return nil
}

// nameFault says what is wrong with a name, "" if nothing is.
func nameFault(name string) string {
	switch {
	case name == "":
		return "the empty string is not allowed"
	case name == "." || name == "..":
		return "'" + name + "' is not allowed"
	case len(name) > MaxNameLength:
		return "the length of '" + name + "' is longer than the max allowed length 249"
	case strings.ContainsFunc(name, func(c rune) bool { return !legalInName(c) }):
		return "'" + name + "' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
	}
	return ""
}

func legalInName(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-'
}

// collisionKey is equal for names that metric systems cannot tell apart, which Kafka therefore does not allow side by
// side: those that differ only in '.' and '_'. It is "" for a name that has neither.
func collisionKey(name string) string {
	if !strings.ContainsAny(name, "._") {
		return ""
	}
	return strings.ReplaceAll(name, ".", "_")
}
